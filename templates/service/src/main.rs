//! A shelf of counters, each with a name: `cargo run`, then see <http://127.0.0.1:8081/docs>.

use memgen::prelude::*;

/// A counter.
#[stateful_api(
    path = "/counters",
    topic = "counters",
    partitions = 4,
    crud(get, list, put, delete)
)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    /// What is counted.
    #[key]
    pub name: String,
    /// How many there are.
    pub count: u64,
}

/// By how much a counter changes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// How many are added.
    pub by: u64,
}

#[handlers]
impl Counter {
    /// Adds to a counter, and makes it if it is not there.
    #[post("/{name}/add")]
    fn add(entry: &mut Entry<Self>, name: String, step: Json<Step>) -> Result<Json<Counter>> {
        let counter = entry.or_insert_with(|| Counter { name, count: 0 });
        counter.count = counter
            .count
            .checked_add(step.by)
            .ok_or_else(|| Conflict::new("the counter is full"))?;
        Ok(Json(counter.clone()))
    }
}

memgen::main!(Counter);
