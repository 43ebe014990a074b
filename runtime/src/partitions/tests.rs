use super::*;
use crate::{log::sim::Sim, prelude::*, testing::Faults, tx::TxId};

/// A number.
#[stateful_api(path = "/numbers")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Number {
    #[key]
    name: String,
}

/// What is prepared may have been committed, and acknowledged, long before its writes are in the log of this partition.
#[tokio::test(start_paused = true)]
async fn a_copy_does_not_say_how_old_is_what_a_transaction_in_doubt_writes() {
    let log = Arc::new(Sim::new(1, Faults::none()).client());
    let (partition, memory) = (
        TopicPartition::new("numbers", 0),
        Arc::new(Memory::<Number>::default()),
    );
    let copy = Copy::new(partition, memory.clone(), log);
    copy.is_current_as_of(Instant::now());
    let (held, free) = ("held".to_owned(), "free".to_owned());
    let home = TopicPartition::new("numbers", 1);
    let mut bounded = ReadOptions::default();
    bounded.max_staleness = Some(Duration::from_secs(1));
    let soon = Instant::now() + Duration::from_secs(1);
    let satisfies = async |options: &ReadOptions<'_>, key: &String| {
        copy.satisfies(options, just(key), soon).await
    };
    assert!(satisfies(&bounded, &held).await && copy.age_of(&held).is_some());
    let id = TxId::of(1);
    memory.held().set(id, Some((vec![held.clone()], home)));
    assert!(!satisfies(&bounded, &held).await && copy.age_of(&held).is_none());
    assert!(satisfies(&bounded, &free).await && copy.age_of(&free).is_some());
    assert!(!copy.satisfies(&bounded, any(), soon).await);
    // Who names no bound takes what there is.
    assert!(satisfies(&ReadOptions::default(), &held).await);
    memory.held().set(id, None);
    assert!(satisfies(&bounded, &held).await && copy.age_of(&held).is_some());
}

/// The position of a transaction is that of what its home has prepared: its writes come later.
#[tokio::test(start_paused = true)]
async fn a_copy_that_has_reached_a_transaction_does_not_show_what_it_has_still_to_write() {
    let log = Arc::new(Sim::new(1, Faults::none()).client());
    let (partition, memory) = (
        TopicPartition::new("numbers", 0),
        Arc::new(Memory::<Number>::default()),
    );
    let copy = Copy::new(partition.clone(), memory.clone(), log);
    let (held, free) = ("held".to_owned(), "free".to_owned());
    let mut headers = HeaderMap::new();
    headers.insert(
        position::MIN_POSITION,
        position::header_value(&partition, 4),
    );
    let written = ReadOptions::parse(&headers).unwrap();
    let satisfies = async |key: &String| {
        let soon = Instant::now() + Duration::from_secs(1);
        copy.satisfies(&written, just(key), soon).await
    };
    assert!(!satisfies(&free).await);
    memory
        .held()
        .set(TxId::of(1), Some((vec![held.clone()], partition)));
    memory.apply([], 5).unwrap();
    assert!(satisfies(&free).await);
    assert!(!satisfies(&held).await);
    memory.held().set(TxId::of(1), None);
    assert!(satisfies(&held).await);
}
