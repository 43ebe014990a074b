//! Snapshots over a simulated log: made while records go on being applied, loaded, refused.

#![allow(clippy::unwrap_used)] // the whole file is a test

mod bytes;
mod files;
mod rule;

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use ::bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::{depot::memory::Memory as Depot, *};
use crate::{
    batch,
    clock::{Clock, Moment},
    fold::{Fold, Horizon},
    log::{
        Log, Topic,
        sim::{Client, Faults, Sim},
    },
    metrics::Metrics,
    migration::Readers,
    prelude::*,
    record::{Answered, BATCH_KEY, Ballot, Kind, ROUTED_ID_PREFIX, Record},
    replica::{ReplayError, Replica},
};

const HORIZON: Horizon = Horizon {
    age_ms: 3_600_000,
    replies_max: 1000,
    replies_bytes_max: usize::MAX,
};
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A text under a name.
#[stateful_api(path = "/note")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Note {
    #[key]
    name: String,
    text: String,
}

fn partition() -> TopicPartition {
    TopicPartition::new("note", 0)
}

fn retention() -> Retention {
    Retention {
        topic_id: "cluster/note@1".to_owned(),
        deletions: 7 * DAY,
    }
}

/// A clock that the test sets.
#[derive(Clone)]
struct SetClock(Arc<Mutex<Moment>>);

impl SetClock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Moment {
            wall_ms: 1_700_000_000_000,
            since_boot_ms: 1000,
            boot: 1,
        })))
    }

    fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap();
        let ms = u64::try_from(time.as_millis()).unwrap();
        now.wall_ms += ms;
        now.since_boot_ms += ms;
    }
}

impl Clock for SetClock {
    fn now(&self) -> Moment {
        *self.0.lock().unwrap()
    }
}

/// A log, a depot and a clock, which outlive the nodes of a test.
struct World {
    sim: Sim,
    client: Arc<Client>,
    depot: Depot,
    clock: SetClock,
}

impl World {
    async fn new() -> Self {
        let sim = Sim::new(1, Faults::none());
        let client = Arc::new(sim.client());
        let topic = Topic {
            name: "note".to_owned(),
            partitions: 1,
            partitioner: "murmur2 key".to_owned(),
            format: "json".to_owned(),
        };
        client.declare(&topic).await.unwrap();
        Self {
            sim,
            client,
            depot: Depot::default(),
            clock: SetClock::new(),
        }
    }

    fn append(&self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.sim.append_foreign(&partition(), record);
        }
    }

    /// The keeper of a node that starts now.
    fn keeper(&self, retention: Retention, layout: u64) -> Arc<Keeper> {
        self.keeper_of(retention, layout, None)
    }

    fn keeper_of(&self, retention: Retention, layout: u64, build: Option<u64>) -> Arc<Keeper> {
        let (clock, depot) = (Arc::new(self.clock.clone()), Arc::new(self.depot.clone()));
        let common = Snapshots::new(clock, Some(depot), 1);
        let metrics = Metrics::new().partition(&partition());
        Keeper::new(common, partition(), retention, layout, build, metrics)
    }

    fn replica(&self, keeper: &Arc<Keeper>) -> Replica<Note> {
        let readers = Readers::current(7);
        let mut replica = Replica::new(self.client.clone(), partition(), HORIZON, readers);
        replica.keep(keeper.clone(), self.clock.now(), 0);
        replica
    }

    /// A replica that has read all of the log.
    async fn replayed(&self, keeper: &Arc<Keeper>) -> Replica<Note> {
        let mut replica = self.replica(keeper);
        replica.catch_up(None, |_, _, _| ()).await.unwrap();
        replica
    }

    /// What a node that starts now makes of the snapshot.
    async fn restored(&self, keeper: &Arc<Keeper>) -> Option<Replica<Note>> {
        let log: Arc<dyn Log> = self.client.clone();
        let (asked, readers) = (keeper.ask(&log), Readers::current(7));
        let restored = restore(log, keeper, None, HORIZON, readers, asked, |_| ());
        restored.await.unwrap().map(|restored| restored.replica)
    }

    /// A keeper with a snapshot of all that is in the log.
    async fn snapshot(&self) -> Arc<Keeper> {
        let keeper = self.keeper(retention(), 7);
        self.replayed(&keeper).await.snapshot_if_due();
        keeper.common.settle(DAY).await;
        keeper
    }

    fn kept_bytes(&self) -> Option<Vec<u8>> {
        self.depot.bytes(&partition())
    }

    fn set_kept_bytes(&self, bytes: Vec<u8>) {
        self.depot.set_bytes(&partition(), bytes);
    }
}

fn value(key: &str, text: &str) -> Bytes {
    let note = Note {
        name: key.to_owned(),
        text: text.to_owned(),
    };
    serde_json::to_vec(&note).unwrap().into()
}

fn record(epoch: u64, kind: Kind, key: &str, value: Option<Bytes>) -> Record {
    Record {
        place: None,
        ballot: Ballot::new(epoch, 1),
        kind,
        timestamp_ms: 1_700_000_000_000,
        schema: 7,
        answered: None,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value,
    }
}

fn note(epoch: u64, key: &str, text: &str) -> Record {
    record(epoch, Kind::Data, key, Some(value(key, text)))
}

fn deletion(epoch: u64, key: &str) -> Record {
    record(epoch, Kind::Data, key, None)
}

fn answering(mut record: Record, id: &[u8]) -> Record {
    record.answered = Some(Answered {
        id: Bytes::copy_from_slice(id),
        fingerprint: 77,
        reply: Bytes::from_static(b"done"),
    });
    record
}

/// Something of all that a fold knows: stale records, a torn batch, answers of both kinds.
fn eventful() -> Vec<Record> {
    let change = |key: &'static str| batch::Change {
        key: Bytes::from_static(key.as_bytes()),
        value: Some(value(key, "batch")),
    };
    let batch = batch::encode(&[change("p"), change("q"), change("r")]);
    vec![
        note(1, "a", "one"),
        note(1, "b", "two"),
        answering(note(2, "a", "three"), b"\x01client"),
        note(1, "a", "late"),
        note(1, "z", "late and never there"),
        answering(note(2, "c", "four"), &[ROUTED_ID_PREFIX, b'x']),
        deletion(2, "b"),
        record(
            3,
            Kind::Batch,
            std::str::from_utf8(BATCH_KEY).unwrap(),
            Some(batch),
        ),
        record(3, Kind::FollowUp, "p", Some(value("p", "batch"))),
    ]
}

/// All that a copy of a partition is, in a form that can be compared.
fn shown(replica: &Replica<Note>) -> String {
    let mut entities = Vec::new();
    replica
        .memory()
        .walk(std::ops::Bound::Unbounded, |key, stored| {
            entities.push((key.clone(), stored.etag, stored.state.text.clone()));
            std::ops::ControlFlow::Continue(())
        });
    let fold: &Fold = replica.fold();
    let answers: Vec<_> = fold.answers().collect();
    format!(
        "{entities:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {answers:?}",
        replica.memory().summary(),
        fold.ballot(),
        fold.next(),
        fold.last(),
        fold.last_counts(),
        fold.dirty(),
        fold.torn(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_and_the_tail_make_the_whole() {
    let world = World::new().await;
    world.append(eventful());
    world.snapshot().await;
    let tail = [
        note(3, "a", "after"),
        note(1, "c", "late"),
        deletion(3, "p"),
    ];
    world.append(tail);

    let keeper = world.keeper(retention(), 7);
    assert_eq!(keeper.kept().map(|kept| kept.position), Some(9));
    let mut replica = world.restored(&keeper).await.unwrap();
    let mut read = 0;
    replica.catch_up(None, |_, _, _| read += 1).await.unwrap();
    assert_eq!(read, 3, "the tail and no more");
    let whole = world.replayed(&keeper).await;
    assert_eq!(shown(&replica), shown(&whole));
    let fold = replica.fold();
    assert_eq!((fold.dirty().len(), fold.torn().len()), (2, 2), "{fold:?}");
    assert_eq!(fold.replies(), 2);
}

/// As many are loaded at once as there are processors, and who waits for the log is not one of them.
#[tokio::test(start_paused = true)]
async fn who_waits_for_the_log_lets_others_load() {
    let world = World::new().await;
    world.append(eventful());
    world.snapshot().await;
    let keeper = world.keeper(retention(), 7);
    let loads = &keeper.common.loads;
    let all = loads.available_permits();

    let turns = loads.acquire_many(u32::try_from(all).unwrap()).await;
    let mut restored = pin!(world.restored(&keeper));
    let early = timeout(Duration::from_secs(60), &mut restored).await;
    assert!(early.is_err(), "it is not its turn");
    drop(turns);
    assert!(restored.await.is_some());

    world.sim.set_cut_off(&world.client, true);
    let mut restored = pin!(world.restored(&keeper));
    let early = timeout(Duration::from_secs(1), &mut restored).await;
    assert!(early.is_err(), "the log does not answer");
    assert_eq!(loads.available_permits(), all);
    world.sim.set_cut_off(&world.client, false);
    assert!(restored.await.is_some());
}

/// Transactions that are not done: a new owner that starts from a snapshot has to know them.
#[tokio::test(start_paused = true)]
async fn what_is_prepared_and_decided_is_kept() {
    let world = World::new().await;
    let attempt = r#""attempt":{"epoch":3,"incarnation":1,"number":5}"#;
    let write = String::from_utf8(value("b", "prepared").to_vec()).unwrap();
    let prepared = format!(
        r#"{{{attempt},"home":"other/3","reads":["a"],"writes":[{{"key":"b","value":{write}}}]}}"#
    );
    let decided = format!(r#"{{{attempt},"participants":["other/1","note/2"]}}"#);
    let own = |kind: &str, id: u32, value: String| {
        record(
            3,
            Kind::Data,
            &format!("\0{kind}/{id:032x}"),
            Some(value.into()),
        )
    };
    world.append(eventful());
    world.append([
        own("prepared", 1, prepared.clone()),
        own(
            "prepared",
            2,
            prepared.replace(r#""key":"b""#, r#""key":"c""#),
        ),
        own("decided", 3, decided),
    ]);
    world.snapshot().await;
    world.append([deletion(3, &format!("\0prepared/{:032x}", 2))]);

    let keeper = world.keeper(retention(), 7);
    assert_eq!(keeper.kept().map(|kept| kept.position), Some(12));
    let mut replica = world.restored(&keeper).await.unwrap();
    replica.catch_up(None, |_, _, _| ()).await.unwrap();
    let whole = world.replayed(&keeper).await;
    let (pending, expected) = (replica.fold().pending(), whole.fold().pending());
    assert_eq!(
        format!("{:?} {:?}", pending.prepared(), pending.decided()),
        format!("{:?} {:?}", expected.prepared(), expected.decided())
    );
    assert_eq!((pending.prepared().len(), pending.decided().len()), (1, 1));
    for replica in [&replica, &whole] {
        let held = replica.memory().held();
        assert!(held.is_held(&"b".to_owned()) && !held.is_held(&"a".to_owned()));
    }
}

/// What another build has written and this one has no place for is in a snapshot as it is in the log, until it is changed.
#[tokio::test(start_paused = true)]
async fn what_another_build_says_more_is_kept_in_a_snapshot() {
    let world = World::new().await;
    let wider = |key: &str, text: &str| {
        let value = format!(r#"{{"name":"{key}","text":"{text}","weight":7}}"#);
        let record = record(2, Kind::Data, key, Some(value.into()));
        Record {
            schema: 99,
            ..record
        }
    };
    // More of them than one section holds, and others in between.
    let long = "x".repeat(20_000);
    let name = |number: u32| format!("n{number:02}");
    let records = (0..60).map(|number| match number % 2 {
        0 => note(2, &name(number), &long),
        _ => wider(&name(number), &long),
    });
    world.append(records);
    world.append([wider("changed", "one"), note(2, "changed", "two")]);
    world.append([wider("hidden", "one"), note(1, "hidden", "late")]);
    world.snapshot().await;

    let keeper = world.keeper(retention(), 7);
    let restored = world.restored(&keeper).await.unwrap();
    let whole = world.replayed(&keeper).await;
    assert_eq!(shown(&restored), shown(&whole));
    let written = |replica: &Replica<Note>, key: &str| {
        let written = replica.memory().written(&key.to_owned());
        written.map(|written| (written.schema, written.value.clone()))
    };
    for replica in [&restored, &whole] {
        let hidden = wider("hidden", "one").value.unwrap();
        assert_eq!(written(replica, "hidden"), Some((99, hidden)));
        let odd = wider("n59", &long).value.unwrap();
        assert_eq!(written(replica, "n59"), Some((99, odd)));
        assert_eq!(written(replica, "n58"), None);
        assert_eq!(written(replica, "changed"), None);
    }
}

/// A walk in pieces, between which the log changes what was walked already, and what was not.
#[tokio::test(start_paused = true)]
async fn what_changes_during_the_walk_is_made_whole_by_the_tail() {
    let world = World::new().await;
    let text = "x".repeat(20_000);
    let name = |number: usize| format!("n{number:03}");
    world.append((0..60).map(|number| note(1, &name(number), &text)));
    let keeper = world.keeper(retention(), 7);
    let mut replica = world.replayed(&keeper).await;
    replica.snapshot_if_due();
    let mut pieces = 0;
    while keeper.busy.load(Ordering::Acquire) {
        for number in [pieces, 59 - pieces, 30] {
            world.append([
                note(1, &name(number), &format!("piece {pieces}")),
                deletion(1, &name(number + 3)),
                note(1, &format!("{}-new", name(number)), "new"),
            ]);
        }
        replica.catch_up(None, |_, _, _| ()).await.unwrap();
        pieces += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(pieces > 3, "{pieces}");
    let kept = keeper.kept().unwrap();
    assert_eq!(kept.position, 60);

    let keeper = world.keeper(retention(), 7);
    let mut restored = world.restored(&keeper).await.unwrap();
    // As of the cut it is nothing that ever was, and so it is not to be continued from where the walk ended.
    let entities = restored.memory().len();
    assert_ne!(entities, 60, "the walk has seen what came after the cut");
    restored.snapshot_if_due();
    assert!(
        !keeper.busy.load(Ordering::Acquire),
        "what is not whole is not kept"
    );
    restored.catch_up(None, |_, _, _| ()).await.unwrap();
    assert_eq!(shown(&restored), shown(&world.replayed(&keeper).await));
}

/// Whatever is not a snapshot of just this partition is discarded, and the log is read instead.
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_discarded() {
    let other = |topic_id: &str| Retention {
        topic_id: topic_id.to_owned(),
        ..retention()
    };
    for (why, retention, layout, build) in [
        ("nothing", retention(), 7, None),
        (
            "another topic of this name",
            other("cluster/note@9"),
            7,
            None,
        ),
        ("another layout", retention(), 8, None),
        ("another build", retention(), 7, Some(1)),
    ] {
        let world = World::new().await;
        world.append(eventful());
        world.snapshot().await;
        let keeper = world.keeper_of(retention, layout, build);
        let fits = why == "nothing";
        assert_eq!(keeper.kept().is_some(), fits, "{why}");
        assert_eq!(world.restored(&keeper).await.is_some(), fits, "{why}");
        assert_eq!(world.kept_bytes().is_some(), fits, "{why}");
    }
}

/// The log was made anew behind our back: it is shorter, or has another record where the last one was.
#[tokio::test(start_paused = true)]
async fn another_log_is_noticed() {
    let mut others = eventful();
    for record in &mut others {
        record.ballot.incarnation += 1;
    }
    for (why, records) in [
        ("a shorter one", eventful()[..8].to_vec()),
        ("another one", others),
    ] {
        let world = World::new().await;
        world.append(eventful());
        world.snapshot().await;
        let anew = World {
            depot: world.depot.clone(),
            clock: world.clock.clone(),
            ..World::new().await
        };
        anew.append(records);
        let keeper = anew.keeper(retention(), 7);
        assert!(anew.restored(&keeper).await.is_none(), "{why}");
        assert!(anew.kept_bytes().is_none(), "{why}");
        assert!(keeper.kept().is_none(), "{why}");
    }
}
