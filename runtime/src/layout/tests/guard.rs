//! The guard at the start, on a simulated log.

use bytes::Bytes;

use crate::{
    State,
    layout::{Admitted, AskedState, Refused, admit},
    log::{
        Log, Topic, TopicPartition,
        sim::{Client, Faults, Sim},
    },
    memory::Change,
    migration::Readers,
    prelude::*,
    record::{Ballot, Kind, Record},
    service,
};

/// A state of the topic `state`, in versions.
macro_rules! version {
    ($module:ident $(, $attribute:meta)*; $($fields:tt)*) => {
        mod $module {
            use super::*;

            /// A version.
            #[stateful_api(path = "/state", topic = "state", partitions = 2)]
            $(#[$attribute])*
            #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
            pub(super) struct Thing {
                #[key]
                pub id: u32,
                $($fields)*
            }
        }
    };
}

version!(first; pub rank: String,);
version!(wider; pub rank: String, pub note: Option<String>,);
version!(broken; pub rank: String, pub color: String,);
version!(migrated, migrate(from = super::first::Thing); pub rank: u32,);
version!(twice, migrate(from = super::same::Thing); pub rank: u32,);
version!(mistaken, migrate(from = super::broken::Thing); pub rank: u32,);
version!(same; pub rank: u32,);

impl From<first::Thing> for migrated::Thing {
    fn from(old: first::Thing) -> Self {
        Self {
            id: old.id,
            rank: old.rank.len().try_into().unwrap_or_default(),
        }
    }
}

impl From<broken::Thing> for mistaken::Thing {
    fn from(old: broken::Thing) -> Self {
        Self {
            id: old.id,
            rank: old.color.len().try_into().unwrap_or_default(),
        }
    }
}

impl From<same::Thing> for twice::Thing {
    fn from(old: same::Thing) -> Self {
        Self {
            id: old.id,
            rank: old.rank,
        }
    }
}

fn asked<S: State>() -> AskedState {
    AskedState::of::<S>(topic::<S>())
}

fn topic<S: State>() -> Topic {
    service::topic(const { &S::DEFINITION })
}

async fn start<S: State>(log: &Client) -> Result<Admitted, Refused> {
    admit(log, &[asked::<S>()]).await
}

/// What is said when `S` is not admitted.
async fn refused<S: State>(log: &Client) -> String {
    match start::<S>(log).await {
        Err(Refused::Incompatible(verdict)) => verdict.problems(),
        other => panic!("{other:?}"),
    }
}

async fn write<S: State>(log: &Client, value: Option<&'static str>) {
    let mut producer = log.producer(&partition()).unwrap();
    let record = Record {
        place: None,
        kind: Kind::Data,
        key: Bytes::from_static(b"1"),
        value: value.map(|text| Bytes::from_static(text.as_bytes())),
        ballot: Ballot::FOREIGN,
        timestamp_ms: 1,
        schema: asked::<S>().fingerprint,
        answered: None,
    };
    producer.append(&[record]).await.unwrap();
}

fn partition() -> TopicPartition {
    TopicPartition::new("state", 1)
}

async fn kept(log: &Client) -> usize {
    log.layouts("state").await.unwrap().len()
}

fn sim() -> Client {
    Sim::new(1, Faults::none()).client()
}

#[tokio::test(start_paused = true)]
async fn what_can_be_read_is_admitted_and_kept_once() {
    let log = sim();
    for (count, again) in [(1, false), (1, true)] {
        let admitted = start::<first::Thing>(&log).await.unwrap();
        let topic = admitted.topic("state");
        assert_eq!(topic.fingerprint, asked::<first::Thing>().fingerprint);
        assert!(topic.migrated.is_empty());
        assert_eq!(kept(&log).await, count, "{again}");
    }
    start::<wider::Thing>(&log).await.unwrap();
    assert_eq!(kept(&log).await, 2);
    // An option can be left out, so the older version reads the newer one's values.
    start::<first::Thing>(&log).await.unwrap();
    assert_eq!(kept(&log).await, 2);
}

/// A node of the older build that starts again during an upgrade knows the layout of the newer one, and lacks fields of it all the same.
#[tokio::test(start_paused = true)]
async fn what_would_be_lost_is_kept_where_others_may_write() {
    let log = sim();
    start::<first::Thing>(&log).await.unwrap();
    start::<wider::Thing>(&log).await.unwrap();
    let said = Bytes::from_static(br#"{"id":1,"rank":"a","note":"n"}"#);
    let less = Bytes::from_static(br#"{"id":1,"rank":"a"}"#);
    let schema = asked::<wider::Thing>().fingerprint;

    let old = start::<first::Thing>(&log).await.unwrap();
    for (shared, kept) in [(true, Some(&said)), (false, None)] {
        let readers = old.readers::<first::Thing>(shared);
        let written = written(&readers, schema, &said);
        assert_eq!(written.as_ref(), kept, "{shared}");
        assert_eq!(self::written(&readers, readers.fingerprint(), &less), None);
    }
    // The other way round nothing is lost, and nothing is kept.
    let new = start::<wider::Thing>(&log).await.unwrap();
    let readers = new.readers::<wider::Thing>(true);
    let schema = asked::<first::Thing>().fingerprint;
    assert_eq!(written(&readers, schema, &less), None);
    // A build that is to come has fields that nobody knows yet.
    assert_eq!(written(&readers, 4711, &said), Some(said));
}

/// What is kept of a value beside the entity.
fn written<S: State>(readers: &Readers<S>, schema: u64, value: &Bytes) -> Option<Bytes> {
    let change =
        Change::decode(readers, 0, schema, &Bytes::from_static(b"1"), Some(value)).unwrap();
    change.written.map(|written| written.value.clone())
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_refused_and_changes_nothing() {
    let log = sim();
    start::<first::Thing>(&log).await.unwrap();
    write::<first::Thing>(&log, Some(r#"{"id":1,"rank":"a"}"#)).await;
    let said = refused::<broken::Thing>(&log).await;
    assert!(
        said.starts_with("`Thing.color` (topic `state`): "),
        "{said}"
    );
    assert_eq!(kept(&log).await, 1);

    // Another service with a state that is new, beside the one that is refused: its topic is not declared.
    let other = Topic {
        name: "other".to_owned(),
        ..topic::<wider::Thing>()
    };
    let both = [
        AskedState::of::<wider::Thing>(other.clone()),
        asked::<broken::Thing>(),
    ];
    assert!(matches!(
        admit(&log, &both).await,
        Err(Refused::Incompatible(_))
    ));
    let partition = TopicPartition::new("other", 0);
    assert!(log.end(&partition).await.is_err(), "it was declared");
}

#[tokio::test(start_paused = true)]
async fn a_layout_of_which_nothing_is_left_hinders_nobody() {
    let log = sim();
    start::<first::Thing>(&log).await.unwrap();
    write::<first::Thing>(&log, None).await;
    write::<broken::Thing>(&log, Some(r#"{"id":1,"rank":"a","color":"red"}"#)).await;
    start::<broken::Thing>(&log).await.unwrap();
    assert_eq!(kept(&log).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_migration_reads_the_layout_that_it_names() {
    let log = sim();
    start::<first::Thing>(&log).await.unwrap();
    write::<first::Thing>(&log, Some(r#"{"id":1,"rank":"a"}"#)).await;
    let said = refused::<same::Thing>(&log).await;
    assert!(said.contains("`#[migrate(from = ThingV1)]`"), "{said}");
    // One that names another layout is told of, with what it can't read.
    let said = refused::<mistaken::Thing>(&log).await;
    let because = "the type that `#[migrate]` names does not read it either";
    assert!(said.contains(because), "{said}");
    assert!(said.contains("Thing.color: it is new"), "{said}");
    assert!(said.contains("the struct as it was"), "{said}");
    let admitted = start::<migrated::Thing>(&log).await.unwrap();
    let first = asked::<first::Thing>().fingerprint;
    assert_eq!(admitted.topic("state").migrated.get(&first), Some(&0));
}

#[tokio::test(start_paused = true)]
async fn another_topic_is_another_state() {
    let log = sim();
    start::<first::Thing>(&log).await.unwrap();
    let more = Topic {
        partitions: 3,
        ..topic::<first::Thing>()
    };
    let refused = admit(&log, &[AskedState::of::<first::Thing>(more)]).await;
    let Err(Refused::Incompatible(verdict)) = refused else {
        panic!("{refused:?}");
    };
    assert!(verdict.problems().contains('3'), "{}", verdict.problems());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_layout_stops_the_start() {
    let log = sim();
    let layout = crate::log::KeptLayout {
        fingerprint: 7,
        text: "{".to_owned(),
    };
    log.declare(&topic::<first::Thing>()).await.unwrap();
    log.keep_layout("state", &layout).await.unwrap();
    let Err(Refused::Unreadable(said)) = start::<first::Thing>(&log).await else {
        panic!("it was admitted");
    };
    assert!(said.contains("0000000000000007"), "{said}");
}

#[test]
fn a_migration_from_the_same_is_a_mistake() {
    let mistakes = asked::<twice::Thing>().mistakes();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].contains("can't be told apart"), "{mistakes:?}");
    assert!(asked::<migrated::Thing>().mistakes().is_empty());
}
