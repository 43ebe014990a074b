//! Events for other partitions than the home of the input partition they are in: at this node or at a peer.

use std::{sync::Arc, time::Duration};

use axum::{Json, http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use super::{Batch, Taken, Taker, entries::events};
use crate::{
    call::{Call, CallFuture, patiently},
    cluster::Unanswered,
    forward,
    log::TopicPartition,
    mailbox::{Job, RETRY_AFTER_SECONDS},
    node::Node,
    partitions::{Owner, Slot},
    peer_api,
    problem::Problem,
    record::{Ballot, Kind, Offset, Record},
    state::State,
    tx::{post, text::latin},
};

/// How long one message may take before it is sent again.
const MESSAGE_MAX: Duration = Duration::from_secs(10);
/// The pause between tries, doubled each time up to the other.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Events of an input partition, on their way to a peer.
#[derive(Serialize, Deserialize)]
struct Handed {
    /// The input partition.
    input: TopicPartition,
    next: Offset,
    events: Vec<HandedEvent>,
}

#[derive(Serialize, Deserialize)]
struct HandedEvent {
    offset: Offset,
    time_ms: u64,
    #[serde(with = "latin")]
    key: Bytes,
    #[serde(with = "latin")]
    value: Bytes,
    /// It has no value.
    #[serde(default)]
    deletes: bool,
}

impl HandedEvent {
    fn of(offset: Offset, record: &Record) -> Self {
        Self {
            offset,
            time_ms: record.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone().unwrap_or_default(),
            deletes: record.value.is_none(),
        }
    }

    fn into_record(self) -> (Offset, Record) {
        let record = event_record(
            self.time_ms,
            self.key,
            (!self.deletes).then_some(self.value),
        );
        (self.offset, record)
    }
}

/// For the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn handed_again(bytes: &[u8]) -> crate::fuzzing::Again {
    crate::fuzzing::json::<Handed>(bytes)
}

/// A record of a stream.
pub(super) fn event_record(timestamp_ms: u64, key: Bytes, value: Option<Bytes>) -> Record {
    Record {
        place: None,
        ballot: Ballot::FOREIGN,
        kind: Kind::Data,
        timestamp_ms,
        schema: 0,
        answered: None,
        key,
        value,
    }
}

/// The path of a partition for events.
fn path(partition: &TopicPartition) -> String {
    format!(
        "/_memgen/{}/events/{}",
        partition.topic, partition.partition
    )
}

/// The template of these paths.
pub(crate) fn template(topic: &str) -> String {
    format!("/_memgen/{topic}/events/{{partition}}")
}

/// Hands events over to the owner of a partition, until it has them. Nothing else of the input partition is on its way there meanwhile.
pub(super) async fn hand_over<S: State>(
    node: &Node,
    slot: &Slot<S>,
    input: &Arc<str>,
    taker: &Taker<S>,
    records: &[&(Offset, Record)],
    next: Offset,
) -> Taken {
    let mut pause = PAUSE_MIN;
    loop {
        let deadline = Instant::now() + MESSAGE_MAX;
        let asked = match slot.owner(deadline).await {
            Ok(Owner::Here(here)) => {
                let batch = Batch {
                    input: input.clone(),
                    events: events(taker, records.iter().copied()),
                    next,
                    seen: Arc::default(),
                    dead_letters: taker.dead_letters.clone(),
                };
                let asked = here.mailbox.ask(|slot| Job::Events(Box::new(batch), slot));
                patiently(deadline, asked).await
            }
            Ok(Owner::Peer(peer)) => {
                let events = records.iter();
                let handed = Handed {
                    input: input.parse().expect("it was made of one"),
                    next,
                    events: events
                        .map(|(offset, record)| HandedEvent::of(*offset, record))
                        .collect(),
                };
                let (target, to) = (path(&slot.partition), &slot.partition);
                post(&node.cluster, &peer, &target, to, &handed, deadline).await
            }
            Err(problem) => Err(Unanswered::Undone(problem)),
        };
        match asked {
            Ok(outcome) => return outcome,
            Err(Unanswered::Refused(problem))
                if problem.status() != StatusCode::SERVICE_UNAVAILABLE =>
            {
                warn!(%input, partition = %slot.partition, %problem, "can't hand events over");
            }
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Takes events from a peer.
pub(crate) fn receive<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let (handed, here) = peer_api::message::<S, Handed>(&mut call).await?;
        let taker = call.node().taker::<S>(&handed.input.topic);
        let (Some(here), Some(taker)) = (here, taker) else {
            return Ok(forward::moved());
        };
        let records = handed.events.into_iter();
        let records: Vec<_> = records.map(HandedEvent::into_record).collect();
        // Whoever handed them over knows them already, and sends them again.
        let prepared = taker.prepare(records.iter().map(|(_, record)| record), |_| {});
        if timeout_at(call.deadline(), prepared).await.is_err() {
            let what = "what these events are read by, or looked up in, is not here yet";
            return Err(Problem::unavailable(what, RETRY_AFTER_SECONDS).into());
        }
        let batch = Batch {
            input: handed.input.to_string().into(),
            events: events(&taker, &records),
            next: handed.next,
            seen: Arc::default(),
            dead_letters: taker.dead_letters.clone(),
        };
        let asked = here.mailbox.ask(|slot| Job::Events(Box::new(batch), slot));
        match patiently(call.deadline(), asked).await {
            Ok(outcome) => Ok(Json(outcome).into_response()),
            Err(Unanswered::Moved | Unanswered::Unknown) => Ok(forward::moved()),
            Err(Unanswered::Undone(problem) | Unanswered::Refused(problem)) => Err(problem.into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_arrive_as_they_were() {
        let all: Bytes = (0..=255).collect::<Vec<u8>>().into();
        for value in [None, Some(Bytes::new()), Some(all.clone())] {
            let record = event_record(7, all.clone(), value);
            let handed = Handed {
                input: TopicPartition::new("payments", 3),
                next: 10,
                events: vec![HandedEvent::of(9, &record)],
            };
            let json = serde_json::to_vec(&handed).unwrap();
            let mut read: Handed = serde_json::from_slice(&json).unwrap();
            assert_eq!(read.events.remove(0).into_record(), (9, record));
        }
    }
}
