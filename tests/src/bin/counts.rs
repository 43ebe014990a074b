//! A service that counts events, for a storm over many of them: see `memgen_tests::chaos::counts`.

use memgen::prelude::*;

/// What came in of a name.
#[stateful_api(path = "/counts", topic = "counts", partitions = 16, crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Count {
    /// Of whom.
    #[key]
    name: String,
    /// How many events.
    events: u64,
    /// The sum of their numbers: it tells which ones, where two are mixed up.
    sum: u64,
}

/// An event of the topic `hits`.
#[derive(Clone, Debug, Deserialize)]
struct Hit {
    name: String,
    number: u64,
}

/// Counts it.
#[on_event(topic = "hits", key = "name", dead_letters = "strange-hits")]
fn hit(entry: &mut Entry<Count>, hit: Hit) {
    let name = entry.key().clone();
    let count = entry.or_insert_with(|| Count {
        name,
        events: 0,
        sum: 0,
    });
    count.events += 1;
    count.sum += hit.number;
}

memgen::main!(Count, hit);
