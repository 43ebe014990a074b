//! What the simulated log promises.

use bytes::Bytes;

use super::*;
use crate::record::{Ballot, Kind};

fn fence(number: u64) -> Record {
    Record {
        place: None,
        ballot: Ballot::new(1, 1),
        kind: Kind::Fence,
        timestamp_ms: number,
        schema: 0,
        answered: None,
        key: Bytes::from_static(b"\0fence"),
        value: None,
    }
}

/// The second append of a producer whose first one was lost: nothing of it lands, whatever the test wants. Who counts what has landed would take it for the first.
#[tokio::test(start_paused = true)]
async fn nothing_lands_behind_what_was_lost() {
    let sim = Sim::new(
        1,
        Faults {
            ack_lost: 1.0,
            late_whole: 0.0,
            ..Faults::none()
        },
    );
    let client = sim.client();
    let topic = Topic {
        name: "pile".to_owned(),
        partitions: 1,
        partitioner: "murmur2 key".to_owned(),
        format: "json".to_owned(),
    };
    client.declare(&topic).await.expect("it is new");
    let partition = TopicPartition::new("pile", 0);
    let mut producer = client.producer(&partition).expect("it is declared");
    let lost = producer.append(&[fence(0)]);
    sim.lose_next_acknowledgement();
    let behind = producer.append(&[fence(1)]);
    for outcome in [lost.await, behind.await] {
        assert!(
            matches!(outcome, Err(AppendError::Unknown(_))),
            "{outcome:?}"
        );
    }
    assert_eq!(sim.history(&partition), []);
}
