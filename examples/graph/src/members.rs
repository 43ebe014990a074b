//! What hangs together, as a transaction reads it.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use memgen::prelude::*;

use crate::{component::Component, vertex::Vertex};

/// How many reads of one transaction are under way at once.
const READS_AT_ONCE: usize = 128;

/// A vertex that something names, so it exists.
async fn vertex(tx: &Tx, id: u32) -> Result<Vertex> {
    let vertex = tx.get::<Vertex>(&id).await?;
    vertex.ok_or_else(|| Problem::internal(format!("vertex {id} is named and not there")))
}

/// A component that a vertex names, so it exists.
pub(crate) async fn component(tx: &Tx, id: u32) -> Result<Component> {
    let component = tx.get::<Component>(&id).await?;
    component.ok_or_else(|| Problem::internal(format!("component {id} is named and not there")))
}

/// The vertices with these numbers.
pub(crate) async fn members(tx: &Tx, ids: &BTreeSet<u32>) -> Result<Vec<Vertex>> {
    let ids: Vec<u32> = ids.iter().copied().collect();
    let mut vertices = Vec::with_capacity(ids.len());
    for some in ids.chunks(READS_AT_ONCE) {
        vertices.extend(try_join_all(some.iter().map(|id| vertex(tx, *id))).await?);
    }
    Ok(vertices)
}

/// The numbers of all vertices that can be reached from this one, itself among them.
pub(crate) async fn reach(tx: &Tx, from: u32) -> Result<BTreeSet<u32>> {
    let mut reached = BTreeSet::from([from]);
    let mut frontier = reached.clone();
    while !frontier.is_empty() {
        let vertices = members(tx, &frontier).await?;
        let targets = vertices.iter().flat_map(|vertex| &vertex.edges);
        frontier = targets
            .map(|edge| edge.target)
            .filter(|target| !reached.contains(target))
            .collect();
        reached.extend(&frontier);
    }
    Ok(reached)
}
