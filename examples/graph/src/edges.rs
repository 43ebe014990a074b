//! The two requests that change the graph, and one that sees several entities at one moment.
//!
//! An edge is kept at both of its vertices, the label of a component at each member, and the members in the component: many entities in many partitions, which one transaction
//! changes together. So whoever looks finds them in agreement, whatever else happens meanwhile.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use memgen::prelude::*;

use crate::{
    component::Component,
    members::{component, members, reach},
    vertex::{Edge, Vertex},
};

/// Connects two vertices. Vertices that do not exist are made.
///
/// Vertices that are connected already stay so, with the timestamp that they have. 422 if both are the same vertex.
#[handler(post, "/connect/{a}/{b}")]
pub(crate) async fn connect(tx: &mut Tx, a: u32, b: u32) -> Result<SeeOther> {
    if a == b {
        let detail = format!("{a} can't be connected to itself: an edge has two vertices");
        return Err(Invalid::new(detail).into());
    }
    let see = SeeOther::to(format!("/vertex/{a}"));
    let (mut one, mut other) = (made(tx, a).await?, made(tx, b).await?);
    if one.edge(b).is_some() {
        return Ok(see);
    }
    let timestamp = now_ms();
    for (vertex, target) in [(&mut one, b), (&mut other, a)] {
        vertex.set_edge(Edge { target, timestamp });
    }
    let (low, high) = (
        one.component.min(other.component),
        one.component.max(other.component),
    );
    tx.put(one)?;
    tx.put(other)?;
    if low != high {
        let gone = component(tx, high).await?.connected;
        let mut kept = component(tx, low).await?;
        label(tx, &gone, low).await?;
        tx.delete::<Component>(&high)?;
        kept.connected.extend(gone);
        tx.put(kept)?;
    }
    Ok(see)
}

/// Takes the edge between two vertices away.
///
/// 404 if one of them does not exist, 409 if they are not connected.
#[handler(post, "/disconnect/{a}/{b}")]
pub(crate) async fn disconnect(tx: &mut Tx, a: u32, b: u32) -> Result<SeeOther> {
    let (mut one, mut other) = (known(tx, a).await?, known(tx, b).await?);
    if !one.remove_edge(b) {
        return Err(Conflict::new(format!("{a} and {b} are not connected")).into());
    }
    other.remove_edge(a);
    let id = one.component;
    tx.put(one)?;
    tx.put(other)?;
    // What can still be reached from `a`: all of it, or one of two parts.
    let near = reach(tx, a).await?;
    if !near.contains(&b) {
        let whole = component(tx, id).await?.connected;
        let far: BTreeSet<u32> = whole.difference(&near).copied().collect();
        let (kept, split) = if near.contains(&id) {
            (near, far)
        } else {
            (far, near)
        };
        // A component has the number of its smallest member. Both have one: `a`, and `b`.
        let fresh = split.first().copied().unwrap_or(id);
        label(tx, &split, fresh).await?;
        for (id, connected) in [(id, kept), (fresh, split)] {
            tx.put(Component { id, connected })?;
        }
    }
    Ok(SeeOther::to(format!("/vertex/{a}")))
}

/// What is to be seen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Their numbers.
    pub vertices: BTreeSet<u32>,
}

/// A part of the graph as it is at one moment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct View {
    /// Those of the vertices that exist.
    pub vertices: Vec<Vertex>,
    /// The components that they are in.
    pub components: Vec<Component>,
}

/// Shows vertices and the components that they are in, all of it as of one moment.
#[handler(post, "/view")]
pub(crate) async fn view(tx: &Tx, wanted: Json<Wanted>) -> Result<Json<View>> {
    let mut vertices = Vec::new();
    for id in wanted.0.vertices {
        vertices.extend(tx.get::<Vertex>(&id).await?);
    }
    let labels: BTreeSet<u32> = vertices.iter().map(|vertex| vertex.component).collect();
    let mut components = Vec::new();
    for id in labels {
        components.push(component(tx, id).await?);
    }
    Ok(Json(View {
        vertices,
        components,
    }))
}

/// The vertex, which is made if there is none: then it is a component of its own.
async fn made(tx: &mut Tx, id: u32) -> Result<Vertex> {
    if let Some(vertex) = tx.get::<Vertex>(&id).await? {
        return Ok(vertex);
    }
    tx.put(Component {
        id,
        connected: BTreeSet::from([id]),
    })?;
    Ok(Vertex::alone(id))
}

async fn known(tx: &Tx, id: u32) -> Result<Vertex> {
    let vertex = tx.get::<Vertex>(&id).await?;
    Ok(vertex.ok_or_else(|| NotFound::new(format!("there is no vertex {id}")))?)
}

/// Puts vertices into a component.
async fn label(tx: &mut Tx, ids: &BTreeSet<u32>, component: u32) -> Result<()> {
    for vertex in members(tx, ids).await? {
        tx.put(Vertex {
            component,
            ..vertex
        })?;
    }
    Ok(())
}

/// Milliseconds since the Unix epoch. A clock before it counts as it.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
