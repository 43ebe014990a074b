//! Events that come in while nodes depose each other and crash: each changes the state once, in order, and what it emits arrives.
//!
//! Each node reads the input whenever it likes, whether it owns the partition or only believes so: what keeps an event from being taken in twice is the log alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{HORIZON, KEYS, NODES, Node, Nodes, Pile, faults, partition, seeds, start, topic};
use crate::{
    Entry,
    log::{
        Log, TopicPartition,
        sim::{Faults, Sim},
    },
    mailbox::{Job, Mailbox, StreamJob},
    migration::Readers,
    record::{Ballot, Kind, Offset, Record},
    replica::Replica,
    stream::{Batch, Event, Seen, Taken, Work, origin},
};

const EVENTS: u64 = 400;

fn input() -> TopicPartition {
    TopicPartition::new("events", 0)
}

/// The key of an event, by its number. Some can't be taken in.
fn key_of(number: u64) -> Option<&'static str> {
    let at = usize::try_from(number * 7 + number / 11).unwrap();
    (number % 10 != 9).then(|| KEYS[at % KEYS.len()])
}

fn record(number: u64) -> Record {
    Record {
        place: None,
        ballot: Ballot::FOREIGN,
        kind: Kind::Data,
        timestamp_ms: number,
        schema: 0,
        // Some come again, as repeats.
        answered: Some(origin::origin("source", number, Bytes::new())),
        key: Bytes::new(),
        value: Some(Bytes::from(number.to_string())),
    }
}

fn event(offset: Offset, record: &Record) -> Event<Pile> {
    let text = record.value.clone().unwrap();
    let number: u64 = std::str::from_utf8(&text).unwrap().parse().unwrap();
    let work = match key_of(number) {
        None => Work::Poison("it is none".to_owned()),
        Some(key) => Work::Run(
            key.to_owned(),
            Box::new(move |entry: &mut Entry<Pile>| {
                let key = entry.key().clone();
                let pile = entry.or_insert_with(|| Pile {
                    key: key.clone(),
                    items: Vec::new(),
                });
                pile.items.push(number);
                entry.emit("out", key, &number);
                StatusCode::OK.into_response()
            }),
        ),
    };
    Event {
        offset,
        record: record.clone(),
        work,
    }
}

/// Reads the input for a while, at a node, and takes in what comes: some at a time, or gives up and begins again.
async fn consume(
    log: Arc<dyn Log>,
    mailbox: Mailbox<Pile>,
    mut random: fastrand::Rng,
    until: Instant,
) {
    let input_text: Arc<str> = input().to_string().into();
    while Instant::now() < until {
        let patience = Duration::from_millis(random.u64(50..3000));
        let round = async {
            let job = |slot| Job::Stream(StreamJob::Reached(input_text.clone(), slot));
            let Ok(mut reached) = mailbox.ask(job).await else {
                return;
            };
            for _ in 0..random.usize(1..20) {
                let Ok(chunk) = log.read(&input(), reached.next, 1 << 20).await else {
                    return;
                };
                let some = &chunk.records[..chunk.records.len().min(random.usize(1..12))];
                let Some((last, _)) = some.last() else {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let mut known = reached.clone();
                let mut events = Vec::new();
                let mut seen = Vec::new();
                for (offset, record) in some {
                    let (source, number) = origin::of(record).unwrap();
                    seen.push(Seen {
                        offset: *offset,
                        time_ms: record.timestamp_ms,
                        origin: Some((source.into(), number)),
                    });
                    if !known.has(source, number) {
                        known.add(source, number);
                        events.push(event(*offset, record));
                    }
                }
                let seen: Arc<[Seen]> = seen.into();
                let batch = Batch {
                    input: input_text.clone(),
                    events,
                    next: last + 1,
                    seen: seen.clone(),
                    dead_letters: Some("letters".into()),
                };
                let asked = mailbox.ask(|slot| Job::Events(Box::new(batch), slot));
                match asked.await {
                    Ok(Taken::All) => reached.pass(&seen, last + 1),
                    Ok(Taken::Until(next)) => reached.pass(&seen, next),
                    Ok(poison @ Taken::Poison(..)) => panic!("{poison:?}"),
                    Err(_) => return,
                }
            }
        };
        // Whoever gives up in the middle does not know what was taken in.
        drop(timeout(patience, round).await);
        sleep(Duration::from_millis(random.u64(1..300))).await;
    }
}

fn read_at(node: &Node, random: &mut fastrand::Rng, until: Instant) {
    let (log, mailbox) = (node.client.clone(), node.mailbox.clone());
    tokio::spawn(consume(log, mailbox, random.fork(), until));
}

/// What arrived in a stream, without repeats.
fn arrived(sim: &Sim, topic: &str) -> Vec<u64> {
    let mut last = None;
    let mut numbers = Vec::new();
    for (_, record) in sim.history(&TopicPartition::new(topic, 0)) {
        // Outsiders write, too.
        let Some((source, sequence)) = origin::of(&record) else {
            continue;
        };
        assert_eq!(source, "pile/0");
        if last.is_none_or(|last| sequence > last) {
            last = Some(sequence);
            let text = record.value.unwrap();
            numbers.push(std::str::from_utf8(&text).unwrap().parse().unwrap());
        }
    }
    numbers
}

#[allow(
    clippy::too_many_lines,
    reason = "one history, from its beginning to what came of it"
)]
async fn run(seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = Sim::new(seed, faults(seed));
    sim.client().declare(&topic(1)).await.unwrap();
    sim.client().open_stream("events", 1).await.unwrap();
    let mut incarnation = 0;
    let nodes: Nodes = Arc::new(Mutex::new(Vec::new()));
    let until = Instant::now() + Duration::from_secs(60);
    for _ in 0..NODES {
        incarnation += 1;
        let node = start(&sim, incarnation);
        read_at(&node, &mut random, until);
        nodes.lock().unwrap().push(node);
    }
    let mut next = 0;
    while Instant::now() < until {
        if next < EVENTS {
            for _ in 0..random.u64(0..20).min(EVENTS - next) {
                sim.append_foreign(&input(), record(next));
                if next % 3 == 2 {
                    // Its sender did not hear that it had arrived.
                    sim.append_foreign(&input(), record(next - 1));
                    sim.append_foreign(&input(), record(next));
                }
                next += 1;
            }
        }
        if random.f64() < 0.08 {
            let index = random.usize(..NODES);
            incarnation += 1;
            let fresh = start(&sim, incarnation);
            read_at(&fresh, &mut random, until);
            let gone = std::mem::replace(&mut nodes.lock().unwrap()[index], fresh);
            gone.task.abort();
            sim.crash(&gone.client);
        }
        sleep(Duration::from_millis(random.u64(1..600))).await;
    }
    assert_eq!(next, EVENTS);
    sim.set_faults(Faults {
        compaction: None,
        ..Faults::none()
    });
    // The rest is taken in by one alone, with nothing in its way.
    incarnation += 1;
    let last = start(&sim, incarnation);
    let calm = Instant::now() + Duration::from_secs(60);
    read_at(&last, &mut random, calm);
    sleep(Duration::from_secs(90)).await;

    let mut wrong = Vec::new();
    let mut expected: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for number in 0..EVENTS {
        if let Some(key) = key_of(number) {
            expected.entry(key).or_default().push(number);
        }
    }
    let mut replica = Replica::<Pile>::new(
        Arc::new(sim.client()),
        partition(),
        HORIZON,
        Readers::current(0),
    );
    replica.catch_up(None, |_, _, _| ()).await.unwrap();
    for (key, expected) in &expected {
        let stored = replica.memory().get(&(*key).to_owned());
        let items = stored.map(|stored| stored.state.items.clone());
        if items.as_ref() != Some(expected) {
            wrong.push(format!(
                "{key}: {}",
                json!({"expected": expected, "found": items})
            ));
        }
    }
    let pending = replica.fold.pending();
    let end = sim.client().end(&input()).await.unwrap();
    if pending
        .reached()
        .get("events/0")
        .map(|reached| reached.next)
        != Some(end)
    {
        wrong.push(format!("position: {:?}, {end}", pending.reached()));
    }
    if !pending.outbox().is_empty() {
        wrong.push(format!("in the outbox: {:?}", pending.outbox()));
    }
    let taken: Vec<u64> = (0..EVENTS)
        .filter(|number| key_of(*number).is_some())
        .collect();
    let letters: Vec<u64> = (0..EVENTS)
        .filter(|number| key_of(*number).is_none())
        .collect();
    for (topic, expected) in [("out", taken), ("letters", letters)] {
        let arrived = arrived(&sim, topic);
        if arrived != expected {
            wrong.push(format!(
                "{topic}: {}",
                json!({"expected": expected, "arrived": arrived})
            ));
        }
    }
    for node in nodes.lock().unwrap().drain(..) {
        node.task.abort();
    }
    last.task.abort();
    wrong
}

#[test]
fn each_event_is_taken_in_once() {
    for seed in seeds(40) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let wrong = runtime.block_on(run(seed));
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
}
