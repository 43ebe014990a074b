//! Single cases of the writer over the simulated log, which a random history meets seldom.

use super::*;

/// A log that has enough on its way gets no more, and what comes meanwhile goes together.
#[tokio::test(start_paused = true)]
async fn what_the_log_would_only_queue_is_kept_back() {
    for (records_in_flight_max, groups) in [(usize::MAX, 20), (4, 6)] {
        let faults = Faults {
            records_in_flight_max,
            ..Faults::none()
        };
        let sim = Sim::new(1, faults);
        sim.client().declare(&topic(1)).await.unwrap();
        let node = start(&sim, 8);
        node.mailbox.ask(Job::Fence).await.unwrap();
        // Its first look at the end of the log is over.
        sleep(Duration::from_secs(1)).await;
        let before = node.metrics.group_records.get_sample_count();
        let mut asked = Vec::new();
        for _ in 0..20 {
            let mailbox = node.mailbox.clone();
            asked.push(tokio::spawn(async move { mailbox.ask(Job::Fence).await }));
            // The writer has done what it can before the next one comes. No time passes while something can run.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        for asked in asked {
            asked.await.unwrap().unwrap();
        }
        let sent = node.metrics.group_records.get_sample_count() - before;
        assert_eq!(sent, groups, "{records_in_flight_max}");
    }
}

/// Rule 5: a batch whose plain records are missing is rolled forward by the next owner.
#[tokio::test(start_paused = true)]
async fn a_torn_batch_is_rolled_forward() {
    let sim = Sim::new(1, Faults::none());
    let client = sim.client();
    client.declare(&topic(1)).await.unwrap();
    let pile = |key: &str| {
        let pile = Pile {
            key: key.to_owned(),
            items: vec![1],
        };
        Some(Bytes::from(serde_json::to_vec(&pile).unwrap()))
    };
    let change = |key: &'static str| batch::Change {
        key: Bytes::from_static(key.as_bytes()),
        value: pile(key),
    };
    let record = |kind, key: &'static [u8], value| Record {
        place: None,
        ballot: Ballot::new(1, 7),
        kind,
        timestamp_ms: 0,
        schema: 0,
        answered: None,
        key: Bytes::from_static(key),
        value,
    };
    let value = batch::encode(&[change("a"), change("b"), change("c")]);
    let mut producer = client.producer(&partition()).unwrap();
    let torn = vec![
        record(Kind::Batch, BATCH_KEY, Some(value)),
        record(Kind::FollowUp, b"a", pile("a")),
    ];
    producer.append(&torn).await.unwrap();

    let node = start(&sim, 8);
    let fence = node.mailbox.ask(Job::Fence).await.unwrap();
    let follow_ups: Vec<_> = sim
        .history(&partition())
        .into_iter()
        .filter(|(offset, record)| *offset < fence && record.kind == Kind::FollowUp)
        .map(|(_, record)| record.key)
        .collect();
    assert_eq!(
        follow_ups,
        [&b"a"[..], b"b", b"c", BATCH_KEY],
        "the missing ones follow, before anything else, and then the end of the batch"
    );
    for key in ["a", "b", "c"] {
        assert_eq!(
            node.memory.get(&key.to_owned()).unwrap().state.items,
            [1],
            "{key}"
        );
    }
}

/// During a rolling upgrade an owner of the old build writes again what one of the new build wrote: the batch that is rolled forward, and what a stale record hides (rules 5
/// and 6). What it can't read of that is not lost.
#[tokio::test(start_paused = true)]
async fn what_a_newer_build_wrote_is_written_again_as_it_is() {
    let sim = Sim::new(1, Faults::none());
    let expected = append_what_a_newer_build_wrote(&sim).await;
    let node = start(&sim, 8);
    node.mailbox.ask(Job::Fence).await.unwrap();
    assert_eq!(written_again_by(&sim, 8), expected);
}

/// What a newer build left, of which the next owner has to write something again: keys, and what it has to write.
pub(super) async fn append_what_a_newer_build_wrote(
    sim: &Sim,
) -> BTreeMap<Bytes, (u64, Option<Bytes>)> {
    const NEWER: u64 = 99;
    let client = sim.client();
    client.declare(&topic(1)).await.unwrap();
    let value = |key: &str, items: &str| {
        let value = format!(r#"{{"key":"{key}","items":[{items}],"weight":7}}"#);
        Some(Bytes::from(value))
    };
    let record = |epoch, kind, schema, key: &'static str, value| Record {
        place: None,
        ballot: Ballot::new(epoch, 7),
        kind,
        timestamp_ms: 0,
        schema,
        answered: None,
        key: Bytes::from_static(key.as_bytes()),
        value,
    };
    let batch = batch::encode(&[batch::Change {
        key: Bytes::from_static(b"torn"),
        value: value("torn", "2"),
    }]);
    let before = [
        record(2, Kind::Data, NEWER, "hidden", value("hidden", "1")),
        record(1, Kind::Data, 0, "hidden", value("hidden", "0")),
        record(
            2,
            Kind::Batch,
            NEWER,
            std::str::from_utf8(BATCH_KEY).unwrap(),
            Some(batch),
        ),
    ];
    let mut producer = client.producer(&partition()).unwrap();
    producer.append(&before).await.unwrap();
    let expected = [("hidden", "1"), ("torn", "2")];
    let expected = expected.map(|(key, items)| (Bytes::from(key), (NEWER, value(key, items))));
    BTreeMap::from(expected)
}

/// Keys, and what a node wrote of them.
pub(super) fn written_again_by(
    sim: &Sim,
    incarnation: u64,
) -> BTreeMap<Bytes, (u64, Option<Bytes>)> {
    sim.history(&partition())
        .into_iter()
        .filter(|(_, record)| record.ballot.incarnation == incarnation)
        .filter(|(_, record)| matches!(record.kind, Kind::Data | Kind::FollowUp))
        .filter(|(_, record)| record.key != BATCH_KEY)
        .map(|(_, record)| (record.key, (record.schema, record.value)))
        .collect()
}
