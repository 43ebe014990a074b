//! What makes edges, labels and components agree.
//!
//! [`Graph::settle`] looks at all that hangs together with the vertices that it is given, writes what is not as it must
//! be, and looks again, until there is nothing to write. It does not matter why something was wrong: a request
//! that is half done, one that a crash cut short, two at once. So
//!
//! - a request that ends well has seen, after its own last write, that all around its vertices is right;
//! - of several requests at once, the one that writes last looks after it, so what they leave together is right;
//! - a request that was cut short by a crash leaves wrong labels, members or half an edge, until any request that reaches these
//!   vertices, such as itself repeated, mends them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use memgen::prelude::*;

use crate::{
    component::Component,
    vertex::{Edge, Vertex},
};

/// How many times one request mends and looks again. Each time that it is not enough, another request wrote in
/// between; after so many, the client is asked to try again.
const ROUNDS_MAX: usize = 64;

/// How many reads or writes of one request are under way at once: enough for them to share commits, few enough to leave
/// room in the writers' queues for others.
const CONCURRENCY_MAX: usize = 128;

/// Both states of the graph.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) vertices: Store<Vertex>,
    pub(crate) components: Store<Component>,
}

/// What is known of one part of the graph. A vertex that an edge names but that does not exist is `None`.
type View = BTreeMap<u32, Option<Arc<Vertex>>>;

/// One thing that is not as it must be, and is made so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mend {
    /// The vertex has this edge.
    SetEdge { id: u32, edge: Edge },
    /// The vertex has no edge to this target.
    RemoveEdge { id: u32, target: u32 },
    /// The vertex is in this component.
    Label { id: u32, component: u32 },
    /// The component is this one.
    SetComponent(Component),
    /// There is no such component.
    RemoveComponent { id: u32 },
}

impl Graph {
    /// Makes all that hangs together with `starts` right.
    ///
    /// # Errors
    /// Those of the stores, and 503 if others wrote in between too many times.
    pub(crate) async fn settle(&self, starts: [u32; 2]) -> Result<()> {
        // All that was ever seen stays in sight: what this request wrote to a vertex that another request has cut off
        // meanwhile is looked at again, too.
        let mut seen = BTreeSet::from(starts);
        for _ in 0..ROUNDS_MAX {
            let view = self.look(&mut seen).await?;
            let mut mends = edge_mends(&view);
            if mends.is_empty() {
                mends = self.component_mends(&view).await?;
            }
            if mends.is_empty() {
                return Ok(());
            }
            stream::iter(mends)
                .map(|mend| self.mend(mend))
                .buffer_unordered(CONCURRENCY_MAX)
                .try_collect::<()>()
                .await?;
        }
        let detail = "others keep changing this part of the graph; what was done so far stays, \
                      and the same request again completes it";
        Err(Unavailable::new(detail).into())
    }

    /// Reads all vertices that can be reached from `seen`, and adds them to it.
    async fn look(&self, seen: &mut BTreeSet<u32>) -> Result<View> {
        let mut view = View::new();
        let mut frontier: Vec<u32> = seen.iter().copied().collect();
        while !frontier.is_empty() {
            let found: Vec<(u32, Option<Arc<Vertex>>)> = stream::iter(frontier)
                .map(|id| async move { Result::<_>::Ok((id, self.vertices.get(&id).await?)) })
                .buffer_unordered(CONCURRENCY_MAX)
                .try_collect()
                .await?;
            let targets: BTreeSet<u32> = found
                .iter()
                .filter_map(|(_, vertex)| vertex.as_ref())
                .flat_map(|vertex| vertex.edges.iter().map(|edge| edge.target))
                .collect();
            view.extend(found);
            frontier = targets
                .into_iter()
                .filter(|target| !view.contains_key(target))
                .collect();
        }
        seen.extend(view.keys());
        Ok(view)
    }

    /// What to write so that labels and components are right, where the edges are.
    async fn component_mends(&self, view: &View) -> Result<Vec<Mend>> {
        let mut mends = Vec::new();
        for members in groups(view) {
            let Some(&id) = members.first() else { continue };
            let kept: Vec<Arc<Component>> = stream::iter(members.clone())
                .map(|member| self.components.get(&member))
                .buffer_unordered(CONCURRENCY_MAX)
                .try_filter_map(async |component| Ok(component))
                .try_collect()
                .await?;
            for component in &kept {
                if component.id != id {
                    mends.push(Mend::RemoveComponent { id: component.id });
                }
            }
            let labels = members.iter().filter(|member| {
                let vertex = view.get(*member).and_then(Option::as_ref);
                vertex.is_some_and(|vertex| vertex.component != id)
            });
            mends.extend(labels.map(|&member| Mend::Label {
                id: member,
                component: id,
            }));
            let component = Component {
                id,
                connected: members,
            };
            if !kept.iter().any(|kept| **kept == component) {
                mends.push(Mend::SetComponent(component));
            }
        }
        Ok(mends)
    }

    async fn mend(&self, mend: Mend) -> Result<()> {
        match mend {
            Mend::SetEdge { id, edge } => {
                let set = move |entry: &mut Entry<Vertex>| {
                    entry.or_insert_with(|| Vertex::alone(id)).set_edge(edge);
                    Ok(())
                };
                self.vertices.update(id, set).await
            }
            Mend::RemoveEdge { id, target } => {
                let remove = move |entry: &mut Entry<Vertex>| {
                    if let Some(vertex) = entry.get_mut() {
                        vertex.remove_edge(target);
                    }
                    Ok(())
                };
                self.vertices.update(id, remove).await
            }
            Mend::Label { id, component } => {
                let label = move |entry: &mut Entry<Vertex>| {
                    if let Some(vertex) = entry.get_mut() {
                        vertex.component = component;
                    }
                    Ok(())
                };
                self.vertices.update(id, label).await
            }
            Mend::SetComponent(component) => {
                let id = component.id;
                let set = move |entry: &mut Entry<Component>| {
                    entry.insert(component.clone());
                    Ok(())
                };
                self.components.update(id, set).await
            }
            Mend::RemoveComponent { id } => self.components.remove(id).await,
        }
    }
}

/// What to write so that both vertices of an edge agree on it. The smaller one is right.
fn edge_mends(view: &View) -> Vec<Mend> {
    let edge_of = |id: u32, target: u32| view.get(&id)?.as_ref()?.edge(target);
    let mut mends = Vec::new();
    for vertex in view.values().flatten() {
        for edge in &vertex.edges {
            let other = edge_of(edge.target, vertex.id);
            if vertex.id < edge.target {
                let mirror = Edge {
                    target: vertex.id,
                    timestamp: edge.timestamp,
                };
                if other != Some(mirror) {
                    mends.push(Mend::SetEdge {
                        id: edge.target,
                        edge: mirror,
                    });
                }
            } else if other.is_none() {
                mends.push(Mend::RemoveEdge {
                    id: vertex.id,
                    target: edge.target,
                });
            }
        }
    }
    mends
}

/// The vertices that hang together, each set once.
fn groups(view: &View) -> Vec<BTreeSet<u32>> {
    let mut groups = Vec::new();
    let mut done = BTreeSet::new();
    for vertex in view.values().flatten() {
        let mut members = BTreeSet::new();
        let mut frontier = vec![vertex.id];
        while let Some(id) = frontier.pop() {
            if let Some(Some(vertex)) = view.get(&id)
                && done.insert(id)
            {
                members.insert(id);
                frontier.extend(vertex.edges.iter().map(|edge| edge.target));
            }
        }
        if !members.is_empty() {
            groups.push(members);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(vertices: &[(u32, &[(u32, u64)])]) -> View {
        let vertex = |&(id, edges): &(u32, &[(u32, u64)])| {
            let edges = edges.iter();
            let edges = edges.map(|&(target, timestamp)| Edge { target, timestamp });
            let vertex = Vertex {
                edges: edges.collect(),
                ..Vertex::alone(id)
            };
            (id, Some(Arc::new(vertex)))
        };
        vertices.iter().map(vertex).collect()
    }

    #[test]
    fn the_smaller_vertex_decides_on_an_edge() {
        let set = |id, target, timestamp| Mend::SetEdge {
            id,
            edge: Edge { target, timestamp },
        };
        let remove = |id, target| Mend::RemoveEdge { id, target };
        let rows = [
            (view(&[(1, &[(2, 7)]), (2, &[(1, 7)])]), vec![]),
            (view(&[(1, &[(2, 7)]), (2, &[])]), vec![set(2, 1, 7)]),
            (view(&[(1, &[(2, 7)])]), vec![set(2, 1, 7)]),
            (view(&[(1, &[(2, 7)]), (2, &[(1, 8)])]), vec![set(2, 1, 7)]),
            (view(&[(1, &[]), (2, &[(1, 7)])]), vec![remove(2, 1)]),
            (view(&[(2, &[(1, 7)])]), vec![remove(2, 1)]),
        ];
        for (view, expected) in rows {
            assert_eq!(edge_mends(&view), expected, "{view:?}");
        }
    }

    #[test]
    fn groups_are_what_hangs_together() {
        let view = view(&[
            (1, &[(2, 0)]),
            (2, &[(1, 0), (5, 0)]),
            (3, &[]),
            (5, &[(2, 0)]),
        ]);
        assert_eq!(
            groups(&view),
            [BTreeSet::from([1, 2, 5]), BTreeSet::from([3])]
        );
    }
}
