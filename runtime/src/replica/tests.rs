//! A replica on a simulated log.

#![allow(clippy::unwrap_used)] // the whole file is a test

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{
    log::{
        Topic,
        sim::{Faults, Sim},
    },
    prelude::*,
    record::{Ballot, Kind},
};

const NOTES: usize = 40;

/// So long that ten of them are as much as is read at once.
#[stateful_api(path = "/note")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Note {
    #[key]
    key: String,
    text: String,
}

fn note(number: usize) -> Record {
    let key = number.to_string();
    let text = "x".repeat(CHUNK_BYTES / 10);
    let note = Note {
        key: key.clone(),
        text,
    };
    Record {
        place: None,
        ballot: Ballot::new(1, 1),
        kind: Kind::Data,
        timestamp_ms: 0,
        schema: 0,
        answered: None,
        key: key.into(),
        value: Some(serde_json::to_vec(&note).unwrap().into()),
    }
}

/// What was read when a catch-up was broken off is neither lost nor applied twice, whether it is applied at once or by the next catch-up.
#[tokio::test(start_paused = true)]
async fn a_catch_up_can_be_broken_off() {
    for applies_at_once in [true, false] {
        let sim = Sim::new(1, Faults::none());
        let client = Arc::new(sim.client());
        let topic = Topic {
            name: "note".into(),
            partitions: 1,
            partitioner: "murmur2 key".into(),
            format: "json".into(),
        };
        client.declare(&topic).await.unwrap();
        let partition = TopicPartition::new("note", 0);
        for number in 0..NOTES {
            sim.append_foreign(&partition, note(number));
        }
        let horizon = Horizon {
            age_ms: 1,
            replies_max: 1,
            replies_bytes_max: 1,
        };
        let readers = Readers::current(0);
        let mut replica = Replica::<Note>::new(client.clone(), partition, horizon, readers);
        let broken_off = timeout(
            Duration::from_secs(5),
            replica.catch_up(None, |_, _, _| sim.set_cut_off(&client, true)),
        );
        assert!(broken_off.await.is_err());
        let read = usize::try_from(replica.fold.next()).unwrap();
        assert!(0 < read && read < NOTES, "in the middle: {read}");
        assert_eq!(replica.memory.len(), 0);
        if applies_at_once {
            replica.apply_gathered().unwrap();
            assert_eq!(replica.memory.len(), read);
            assert_eq!(replica.memory.applied(), replica.fold.next());
        }
        sim.set_cut_off(&client, false);
        let mut seen = 0;
        replica.catch_up(None, |_, _, _| seen += 1).await.unwrap();
        assert_eq!((replica.memory.len(), read + seen), (NOTES, NOTES));
        assert_eq!(replica.memory.applied(), replica.fold.next());
    }
}
