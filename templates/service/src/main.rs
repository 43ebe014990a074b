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

#[cfg(test)]
mod tests {
    use memgen::testing::Simulation;
    use serde_json::{Value, json};

    use super::*;

    /// Three nodes in memory, in milliseconds; each seed is another interleaving, and always the same one.
    #[test]
    fn each_step_counts_once() {
        Simulation::seeds(0..10, async |world| {
            let cluster = world.cluster(|| memgen::service!(Counter), 3).await;
            let add = |node: usize, request: &str| {
                let post = cluster.node(node).post("/counters/apples/add");
                post.once(request).json(&json!({ "by": 1 }))
            };
            add(0, "first").await.expect(200);
            // It is in the log, and its owner does not learn of it.
            cluster.log().lose_next_acknowledgement();
            add(1, "second").await.expect(200);
            // A client that was not answered asks again, at another node.
            cluster.crash(1);
            add(2, "second").await.expect(200);
            let counter: Value = cluster.node(0).get("/counters/apples").await.json();
            assert_eq!(counter["count"], 2);
        });
    }
}
