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
