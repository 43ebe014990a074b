//! Once: a request with an id that was carried out gets its first answer again (rule 10).

use axum::response::IntoResponse;
use bytes::Bytes;

use super::{
    Running,
    group::{Group, Reply, Waiting},
};
use crate::{
    ambient::now_ms,
    broken::{Bug, is_broken},
    idempotency,
    mailbox::{Answer, Job, Recall, Refusal, RequestId, Slot},
    record::Offset,
    state::State,
};

/// Requests outside of the writer that run at once with an id; beyond it they are refused.
const OUTSIDE_MAX: usize = 10_000;

/// A request whose reply is in flight.
pub(super) struct PendingReply {
    pub(super) fingerprint: u128,
    pub(super) reply: Bytes,
    pub(super) group: u64,
    pub(super) record: usize,
}

/// What is known of a request with an id.
pub(super) enum Known {
    Differs,
    Done(Bytes, Offset),
    InFlight {
        group: u64,
        record: usize,
        reply: Bytes,
    },
}

impl<S: State> Running<S> {
    pub(super) fn known(&self, request: &RequestId) -> Option<Known> {
        if let Some(pending) = self.pending_replies.get(&request.id) {
            return Some(if pending.fingerprint == request.fingerprint {
                Known::InFlight {
                    group: pending.group,
                    record: pending.record,
                    reply: pending.reply.clone(),
                }
            } else {
                Known::Differs
            });
        }
        if is_broken(Bug::NoReplies) {
            return None;
        }
        let remembered = self.replica.fold.reply(&request.id, now_ms())?;
        Some(if remembered.fingerprint == request.fingerprint {
            Known::Done(remembered.reply.clone(), remembered.offset)
        } else {
            Known::Differs
        })
    }

    /// Lets a reply wait for the record of a group in flight, or of the one that is being made.
    pub(super) fn wait_for(
        &mut self,
        group: &mut Group<S>,
        number: u64,
        record: usize,
        reply: Reply,
    ) {
        let waiting = Waiting {
            after: record + 1,
            record,
            reply,
        };
        let flying = self.in_flight.iter_mut().map(|(group, _)| group);
        match flying.chain([group]).find(|group| group.number == number) {
            Some(group) => group.waiting.push(waiting),
            None => unreachable!("a pending reply names a group in flight"),
        }
    }

    pub(super) fn answer_again(&mut self, known: Known, group: &mut Group<S>, slot: Slot<Answer>) {
        match known {
            Known::Differs => {
                let reply = Reply::Command(idempotency::differs().into_response(), slot);
                reply.send(None);
            }
            Known::Done(reply, offset) => {
                Reply::Again(idempotency::decode(&reply), offset, slot).send(None);
            }
            Known::InFlight {
                group: number,
                record,
                reply,
            } => {
                let reply = Reply::Command(idempotency::decode(&reply), slot);
                self.wait_for(group, number, record, reply);
            }
        }
    }

    /// Says what is known of a request that is about to run outside of the writer. If it is new, it runs from now on.
    pub(super) fn recall(&mut self, request: RequestId, slot: Slot<Recall>, group: &mut Group<S>) {
        let recall = match self.known_by_now(&request, group) {
            Some(Known::Differs) => Ok(Recall::Differs),
            Some(Known::Done(reply, offset)) => Ok(Recall::Done(reply, offset)),
            Some(Known::InFlight {
                group: number,
                record,
                reply,
            }) => {
                let answer = Reply::Then(Box::new(move |outcome| {
                    let done = |offset: Option<_>| Recall::Done(reply, offset.unwrap_or_default());
                    drop(slot.send(outcome.map(done)));
                }));
                return self.wait_for(group, number, record, answer);
            }
            None => {
                if let Some(behind) = self.adopted(&request) {
                    return behind.push(Job::Recall(request, slot));
                }
                self.begin_outside(&request)
            }
        };
        drop(slot.send(recall));
    }

    fn begin_outside(&mut self, request: &RequestId) -> Result<Recall, Refusal> {
        match self.outside.get(&request.id) {
            Some(fingerprint) if *fingerprint == request.fingerprint => Ok(Recall::Running),
            Some(_) => Ok(Recall::Differs),
            None if self.outside.len() >= OUTSIDE_MAX => Err(Refusal::QueueFull),
            None => {
                self.outside.insert(request.id.clone(), request.fingerprint);
                Ok(Recall::New)
            }
        }
    }
}
