//! Whether what is seen of the example `graph` at one moment agrees, by a plain union-find over the edges.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Sets that become one when their members are joined; the smallest member names a set.
#[derive(Clone, Debug, Default)]
pub struct Components(BTreeMap<u32, u32>);

impl Components {
    /// The set of a member, which is one of its own if it is new.
    pub fn find(&mut self, id: u32) -> u32 {
        let above = *self.0.entry(id).or_insert(id);
        if above == id {
            return id;
        }
        let root = self.find(above);
        self.0.insert(id, root);
        root
    }

    /// Makes the sets of two members one.
    pub fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.find(one), self.find(other));
        self.0.insert(one.max(other), one.min(other));
    }

    /// The members of each set.
    pub fn sets(&mut self) -> BTreeMap<u32, BTreeSet<u32>> {
        let members: Vec<u32> = self.0.keys().copied().collect();
        let mut sets: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for id in members {
            sets.entry(self.find(id)).or_default().insert(id);
        }
        sets
    }
}

/// The edges in an answer of `POST /view` that shows the whole graph, each once, the smaller vertex first.
///
/// # Errors
/// What does not agree: an edge with one end, a vertex with another label than the smallest one of its component, or other components than the edges make.
pub fn check_view(view: &Value) -> Result<BTreeSet<(u32, u32)>, String> {
    let mut ends = BTreeMap::new();
    let mut labels = BTreeMap::new();
    let mut components = Components::default();
    for vertex in list(&view["vertices"]) {
        let id = number(&vertex["id"]);
        labels.insert(id, number(&vertex["component"]));
        components.find(id);
        for edge in list(&vertex["edges"]) {
            let target = number(&edge["target"]);
            components.join(id, target);
            ends.insert((id, target), edge["timestamp"].clone());
        }
    }
    for ((id, target), timestamp) in &ends {
        if ends.get(&(*target, *id)) != Some(timestamp) {
            return Err(format!(
                "the edge from {id} to {target} has one end: {view}"
            ));
        }
    }
    let expected: BTreeMap<u32, u32> = labels
        .keys()
        .map(|id| (*id, components.find(*id)))
        .collect();
    if labels != expected {
        return Err(format!("the labels should be {expected:?}: {view}"));
    }
    let sets = components.sets();
    let found = list(&view["components"]).iter().map(|component| {
        let members = list(&component["connected"]).iter().map(number);
        (number(&component["id"]), members.collect())
    });
    let found: BTreeMap<u32, BTreeSet<u32>> = found.collect();
    if found != sets {
        return Err(format!("the components should be {sets:?}: {view}"));
    }
    Ok(ends
        .into_keys()
        .filter(|(id, target)| id < target)
        .collect())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn number(value: &Value) -> u32 {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.expect("a number")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vertex(id: u32, component: u32, targets: &[u32]) -> Value {
        let edges = targets
            .iter()
            .map(|target| json!({"target": target, "timestamp": 1}));
        json!({"id": id, "component": component, "edges": edges.collect::<Vec<_>>()})
    }

    #[test]
    fn what_does_not_agree_is_found() {
        let good = [vertex(1, 1, &[3]), vertex(2, 2, &[]), vertex(3, 1, &[1])];
        let components = json!([{"id": 1, "connected": [1, 3]}, {"id": 2, "connected": [2]}]);
        let view = |vertices: &[Value]| json!({"vertices": vertices, "components": components});
        assert_eq!(check_view(&view(&good)), Ok([(1, 3)].into()));
        for (place, wrong, what) in [
            (2, vertex(3, 1, &[]), "has one end"),
            (2, vertex(3, 3, &[1]), "labels"),
            (1, vertex(2, 1, &[]), "labels"),
        ] {
            let mut vertices = good.clone();
            vertices[place] = wrong;
            let found = check_view(&view(&vertices));
            assert!(
                found.as_ref().is_err_and(|it| it.contains(what)),
                "{found:?}"
            );
        }
        let mut wrong = view(&good);
        wrong["components"][0]["connected"] = json!([1, 2, 3]);
        let found = check_view(&wrong);
        assert!(found.is_err_and(|it| it.contains("components")));
    }
}
