//! The outbox: what was emitted and has not arrived yet; and how far inputs were taken in. Both change with what caused them.

use bytes::Bytes;

use super::{Running, group::Group};
use crate::{
    ambient::task,
    mailbox::{RETRY_AFTER_SECONDS, StreamJob},
    problem::Problem,
    schemas::MISSING,
    state::State,
    stream::{Emitted, Outgoing, Outlet, Reached, Taking, deliver},
    tx::{outbox_key, reached_key},
};

/// Entries of the outbox of one partition; beyond it, what would emit more is told to try again (503), and events wait.
const OUTBOX_MAX: usize = 10_000;

/// Bits of a sequence number that count what one write emits. Those above are where the owner's tenure begins in the log, and the number of its writes that emit: less than where the next
/// tenure begins, so that the numbers grow from owner to owner. (Two of them may have one epoch.)
const COUNT_BITS: u32 = 20;

impl<S: State> Running<S> {
    /// What is emitted, if it may be now.
    pub(super) fn may_emit(&self, emitted: Vec<Emitted>) -> Result<Vec<Emitted>, Problem> {
        if emitted.is_empty() {
            return Ok(emitted);
        }
        if self.replica.may_lose_its_tail() {
            // It would be known outside, and the change that it tells of lost.
            let topic = &self.replica.partition.topic;
            return Err(Problem::internal(format!(
                "nothing can be emitted with what `{topic}` keeps, whose level is `leader`: it might be lost. Set `--ack {topic}=all`"
            )));
        }
        if let Some(own) = emitted
            .iter()
            .find(|it| self.replica.log.is_changelog(&it.topic))
        {
            return Err(Problem::internal(format!(
                "`{}` is the changelog of a state: nothing can be emitted to it",
                own.topic
            )));
        }
        if emitted.iter().any(|it| !it.schema.is_empty()) && !self.tx.schemas.are_there() {
            return Err(Problem::internal(MISSING));
        }
        if self.tx.pending.outbox().len() >= OUTBOX_MAX {
            return Err(Problem::unavailable(
                "too much of what was emitted has yet to arrive at its topics",
                RETRY_AFTER_SECONDS,
            ));
        }
        Ok(emitted)
    }

    /// The entry of the outbox for what is emitted.
    pub(super) fn emission(&mut self, emitted: Vec<Emitted>) -> (Bytes, Option<Bytes>) {
        let sequence = self.tx.next_emission << COUNT_BITS;
        self.tx.next_emission += 1;
        self.metrics.emitted.inc_by(emitted.len() as u64);
        let letters = emitted.iter().filter(|it| it.is_dead_letter()).count();
        self.metrics.dead_letters.inc_by(letters as u64);
        let outgoing = Outgoing { emitted };
        let json = serde_json::to_vec(&outgoing).expect("text and numbers always serialize");
        let (key, value) = (outbox_key(sequence), Bytes::from(json));
        self.tx.note(&key, Some(&value));
        (key, Some(value))
    }

    /// How far an input partition is taken in from now on.
    pub(super) fn reach(&mut self, input: &str, reached: &Reached) -> (Bytes, Option<Bytes>) {
        let json = serde_json::to_vec(reached).expect("text and numbers always serialize");
        let (key, value) = (reached_key(input), Bytes::from(json));
        self.tx.note(&key, Some(&value));
        (key, Some(value))
    }

    /// How far an input partition was taken in, with what is in flight.
    pub(super) fn reached(&self, input: &str) -> Reached {
        let reached = self.tx.pending.reached().get(input);
        reached
            .map(|reached| (**reached).clone())
            .unwrap_or_default()
    }

    /// Whether an event was taken in before, with what is in flight.
    pub(super) fn has_taken(&self, taking: &Taking) -> bool {
        let reached = self.tx.pending.reached().get(&taking.input);
        reached.is_some_and(|reached| taking.offset < reached.next)
    }

    pub(super) fn decide_stream(&mut self, job: StreamJob, group: &mut Group<S>) {
        match job {
            StreamJob::Reached(input, slot) => self.say_reached(input, slot, group),
            StreamJob::Sent(last) => {
                let sent = self.tx.pending.outbox().range(..=last);
                let sent: Vec<_> = sent.map(|(sequence, _)| *sequence).collect();
                for sequence in sent {
                    self.end_own(outbox_key(sequence), group);
                }
            }
        }
    }

    /// Lets go what the log has acknowledged.
    pub(super) fn send_outbox(&mut self) {
        let outbox = self.replica.fold.pending().outbox();
        if outbox.is_empty() || self.tenure.is_none() {
            return;
        }
        let tx = &mut self.tx;
        let outlet = tx.outlet.get_or_insert_with(|| {
            let (outlet, entries) = Outlet::new();
            tx.tasks.spawn(task(deliver::<S>(
                (self.replica.log.clone(), tx.schemas.clone()),
                self.replica.partition.clone(),
                tx.mailbox.clone(),
                entries,
            )));
            outlet
        });
        let from = outlet.handed().map_or(0, |handed| handed + 1);
        for (sequence, outgoing) in outbox.range(from..) {
            outlet.hand_over(*sequence, outgoing.clone());
        }
    }
}
