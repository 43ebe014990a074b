//! A vertex of the graph.

use std::collections::BTreeSet;

use memgen::prelude::*;

/// A person, who they follow, and who follows them.
#[stateful_api(path = "/people", topic = "people", partitions = 4, crud(get, list))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The name.
    #[key]
    pub name: String,
    /// The edges that go out.
    pub follows: BTreeSet<String>,
    /// The edges that come in.
    pub followers: BTreeSet<String>,
}

impl Person {
    /// Somebody without edges.
    pub fn new(name: String) -> Self {
        Self {
            name,
            follows: BTreeSet::new(),
            followers: BTreeSet::new(),
        }
    }
}

#[handlers]
impl Person {
    /// Those who follow this person and are followed by them.
    #[get("/{name}/friends")]
    fn friends(&self) -> Json<Vec<String>> {
        let both = self.follows.intersection(&self.followers);
        Json(both.cloned().collect())
    }
}
