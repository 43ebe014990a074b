//! A vertex, the component that it is in, and its edges.

use std::collections::BTreeSet;

use memgen::prelude::*;

/// A vertex. `POST /connect/{a}/{b}` makes it.
#[stateful_api(path = "/vertex", topic = "vertex", partitions = 4, crud(get, list))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Vertex {
    /// The vertex's number.
    #[key]
    pub id: u32,
    /// The component that it is in: the smallest vertex that can be reached from here.
    pub component: u32,
    /// Its edges, by target.
    pub edges: BTreeSet<Edge>,
}

/// One end of an edge. The other vertex has the same with this vertex as its target.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub(crate) struct Edge {
    /// The vertex at the other end.
    pub target: u32,
    /// When the two were connected, in milliseconds since the Unix epoch.
    pub timestamp: u64,
}

#[handlers]
impl Vertex {
    /// How many edges the vertex has.
    #[get("/{id}/degree")]
    fn degree(&self) -> usize {
        self.edges.len()
    }
}

impl Vertex {
    /// A vertex without edges: it is a component of its own.
    pub(crate) fn alone(id: u32) -> Self {
        Self {
            id,
            component: id,
            edges: BTreeSet::new(),
        }
    }

    /// The edge to `target`.
    pub(crate) fn edge(&self, target: u32) -> Option<Edge> {
        let (first, last) = (0, u64::MAX);
        let edge = |timestamp| Edge { target, timestamp };
        self.edges.range(edge(first)..=edge(last)).next().copied()
    }

    /// Makes `edge` the one edge to its target.
    pub(crate) fn set_edge(&mut self, edge: Edge) {
        self.remove_edge(edge.target);
        self.edges.insert(edge);
    }

    /// Removes the edge to `target`. Says whether there was one.
    pub(crate) fn remove_edge(&mut self, target: u32) -> bool {
        self.edge(target)
            .is_some_and(|edge| self.edges.remove(&edge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_one_edge() {
        let mut vertex = Vertex::alone(1);
        let edge = |timestamp| Edge {
            target: 2,
            timestamp,
        };
        vertex.set_edge(edge(7));
        vertex.set_edge(edge(5));
        assert_eq!(vertex.edges.len(), 1);
        assert_eq!(vertex.edge(2), Some(edge(5)));
        assert_eq!(vertex.edge(1), None);
        assert_eq!(vertex.edge(3), None);
        assert!(vertex.remove_edge(2));
        assert!(!vertex.remove_edge(2));
    }
}
