//! The simulated log: what follows from its seed, and that its faults do happen.

use std::{collections::HashSet, time::Duration};

use memgen::{
    log::{
        AppendError, Log,
        conformance::{data, read_all, topic},
        sim::{Client, Compaction, Faults, Sim},
    },
    record::{Ballot, Offset, Record},
};
use tokio::time::sleep;

use super::common::partition;

async fn declared(sim: &Sim) -> Client {
    let client = sim.client();
    client.declare(&topic("vertex", 2)).await.expect("a topic");
    client
}

/// Two nodes that write, fail and come back; what is there at the end.
async fn story(seed: u64, faults: Faults) -> Vec<(Offset, Record)> {
    let sim = Sim::new(seed, faults);
    let nodes = [declared(&sim).await, declared(&sim).await];
    for round in 0..30 {
        let number = round % 2;
        let mut producer = nodes[number].producer(&partition()).expect("a producer");
        let ballot = Ballot::new(round as u64 + 1, number as u64);
        for at in 0..10 {
            let records = vec![data(ballot, &format!("{}", at % 4), Some("value")); 3];
            let receipt = producer.append(&records);
            if at % 3 == 0 && receipt.await.is_err() {
                break;
            }
        }
    }
    sleep(Duration::from_secs(60)).await;
    sim.history(&partition())
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_history() {
    let mut histories = HashSet::new();
    for seed in 0..10 {
        let history = story(seed, Faults::some()).await;
        assert_eq!(history, story(seed, Faults::some()).await);
        histories.insert(format!("{history:?}"));
    }
    assert_eq!(histories.len(), 10, "each seed gives another");
}

/// Each fault turns up within some histories: a model in which nothing goes wrong would test nothing.
#[tokio::test(start_paused = true)]
async fn the_faults_happen() {
    let (mut foreign, mut late, mut torn) = (0, 0, 0);
    for seed in 0..50 {
        let history = story(
            seed,
            Faults {
                ack_lost: 0.1,
                foreign: 0.02,
                ..Faults::some()
            },
        )
        .await;
        let mut ballot = Ballot::FOREIGN;
        for run in history.chunk_by(|a, b| a.1.ballot == b.1.ballot) {
            let record = &run[0].1;
            foreign += usize::from(record.ballot == Ballot::FOREIGN);
            late += usize::from(record.ballot > Ballot::FOREIGN && record.ballot < ballot);
            torn += usize::from(run.len() % 3 != 0);
            ballot = ballot.max(record.ballot);
        }
    }
    assert!(
        foreign > 0 && late > 0 && torn > 0,
        "{foreign} foreign, {late} late, {torn} torn"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_says_nothing() {
    let (mut landed, mut lost) = (0, 0);
    for seed in 0..100 {
        let sim = Sim::new(
            seed,
            Faults {
                ack_lost: 1.0,
                foreign: 0.0,
                ..Faults::some()
            },
        );
        let node = declared(&sim).await;
        let mut producer = node.producer(&partition()).expect("a producer");
        let outcome = producer
            .append(&[data(Ballot::new(1, 1), "key", Some(""))])
            .await;
        assert!(
            matches!(outcome, Err(AppendError::Unknown(_))),
            "{outcome:?}"
        );
        let later = producer
            .append(&[data(Ballot::new(1, 1), "later", Some(""))])
            .await;
        assert!(matches!(later, Err(AppendError::Refused(_))), "{later:?}");
        sleep(Duration::from_secs(10)).await;
        match sim.history(&partition()).len() {
            0 => lost += 1,
            1 => landed += 1,
            more => panic!("{more} records of one"),
        }
    }
    assert!(landed > 10 && lost > 10, "{landed} landed, {lost} did not");
}

#[tokio::test(start_paused = true)]
async fn a_crashed_node_may_leave_a_late_prefix() {
    let mut lengths = HashSet::new();
    let mut late = 0;
    for seed in 0..100 {
        let sim = Sim::new(
            seed,
            Faults {
                ack_lost: 0.0,
                foreign: 0.0,
                ..Faults::some()
            },
        );
        let (node, other) = (declared(&sim).await, declared(&sim).await);
        let mut producer = node.producer(&partition()).expect("a producer");
        let sent: Vec<_> = (0..20)
            .map(|it| data(Ballot::new(1, 1), &it.to_string(), Some("")))
            .collect();
        for record in &sent {
            drop(producer.append(std::slice::from_ref(record)));
        }
        sim.crash(&node);
        let refused = producer.append(&[sent[0].clone()]).await;
        assert!(
            matches!(refused, Err(AppendError::Refused(_))),
            "{refused:?}"
        );
        let mut next = other.producer(&partition()).expect("a producer");
        let barrier = data(Ballot::new(2, 2), "barrier", Some(""));
        let offset = next.append(&[barrier]).await.expect("nothing is lost")[0];
        sleep(Duration::from_secs(10)).await;
        let history = sim.history(&partition());
        let landed: Vec<_> = history
            .iter()
            .filter(|(_, record)| record.ballot == Ballot::new(1, 1))
            .map(|(_, record)| record.clone())
            .collect();
        assert_eq!(landed, sent[..landed.len()], "a prefix");
        lengths.insert(landed.len());
        late += history.len() - 1 - usize::try_from(offset).expect("small");
    }
    assert!(
        lengths.len() > 3 && late > 10,
        "lengths {lengths:?}, {late} late"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_fails_a_producer_for_good() {
    let sim = Sim::new(1, Faults::none());
    let node = declared(&sim).await;
    let mut producer = node.producer(&partition()).expect("a producer");
    let record = data(Ballot::new(1, 1), "key", Some(""));
    producer
        .append(std::slice::from_ref(&record))
        .await
        .expect("there is room");
    sim.set_full(true);
    let receipts: Vec<_> = (0..5)
        .map(|_| producer.append(std::slice::from_ref(&record)))
        .collect();
    for receipt in receipts {
        let outcome = receipt.await;
        assert!(matches!(outcome, Err(AppendError::Full(_))), "{outcome:?}");
    }
    sim.set_full(false);
    let refused = producer.append(std::slice::from_ref(&record)).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );
    let mut producer = node.producer(&partition()).expect("a producer");
    assert_eq!(producer.append(&[record]).await, Ok(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn compaction_keeps_the_last_of_each_key_and_what_is_young() {
    let lag = Duration::from_secs(10);
    let compaction = Compaction {
        every: Duration::from_secs(3600),
        lag,
        deletions: None,
    };
    for seed in 0..50 {
        let faults = Faults {
            compaction: Some(compaction.clone()),
            ..Faults::none()
        };
        let sim = Sim::new(seed, faults);
        let node = declared(&sim).await;
        let mut producer = node.producer(&partition()).expect("a producer");
        for round in 0..20 {
            for key in ["a", "b", "gone"] {
                let value = (key != "gone" || round < 10).then_some("value");
                let record = data(Ballot::new(1, 1), key, value);
                producer.append(&[record]).await.expect("there is room");
            }
            sleep(Duration::from_secs(1)).await;
        }
        let before = read_all(&node, &partition()).await;
        sim.compact(&partition());
        let after = read_all(&node, &partition()).await;
        assert_eq!(sim.history(&partition()), before, "the history stays");
        assert!(after.len() < before.len() || seed > 0, "something went");
        for (offset, record) in &before {
            let kept = after.iter().any(|(it, _)| it == offset);
            let later = before
                .iter()
                .any(|(it, other)| it > offset && other.key == record.key);
            assert!(
                kept || later,
                "only what has a later record of its key goes"
            );
            assert!(kept || *offset < 33, "what is young stays");
        }
        let changes = Faults {
            compaction: Some(Compaction {
                deletions: Some(Duration::ZERO),
                ..compaction.clone()
            }),
            ..Faults::none()
        };
        sim.set_faults(changes);
        sleep(Duration::from_secs(60)).await;
        for _ in 0..50 {
            sim.compact(&partition());
        }
        let last = read_all(&node, &partition()).await;
        assert!(
            last.iter().all(|(_, record)| record.key != "gone"),
            "deletions go: {last:?}"
        );
    }
}
