//! The two requests that change the graph.
//!
//! An edge is kept at both of its vertices, which may be in different partitions, so a request is a sequence of
//! writes. It is right when it is run again: each step says what must be, not what must change.
//!
//! Two requests may want opposite things of one edge at the same time. Then the list of the *smaller* vertex decides:
//! it is written first, and [`settle`](crate::settle) makes the other list follow it.

use std::time::{SystemTime, UNIX_EPOCH};

use memgen::prelude::*;

use crate::{
    component::Component,
    settle::Graph,
    vertex::{Edge, Vertex},
};

/// Connects two vertices. Vertices that do not exist are made.
///
/// Vertices that are connected already stay so, with the timestamp that they have. 422 if both are the same vertex.
#[handler(post, "/connect/{a}/{b}")]
pub(crate) async fn connect(
    vertices: Store<Vertex>,
    components: Store<Component>,
    a: u32,
    b: u32,
) -> Result<SeeOther> {
    if a == b {
        let detail = format!("{a} can't be connected to itself: an edge has two vertices");
        return Err(Invalid::new(detail).into());
    }
    let (low, high) = (a.min(b), a.max(b));
    let now = Edge {
        target: high,
        timestamp: now_ms(),
    };
    let timestamp = vertices
        .update(low, move |entry| {
            let vertex = entry.or_insert_with(|| Vertex::alone(low));
            if let Some(edge) = vertex.edge(high) {
                return Ok(edge.timestamp);
            }
            vertex.set_edge(now);
            Ok(now.timestamp)
        })
        .await?;
    let mirror = Edge {
        target: low,
        timestamp,
    };
    vertices
        .update(high, move |entry| {
            entry
                .or_insert_with(|| Vertex::alone(high))
                .set_edge(mirror);
            Ok(())
        })
        .await?;
    let graph = Graph {
        vertices,
        components,
    };
    graph.settle([a, b]).await?;
    Ok(SeeOther::to(format!("/vertex/{a}")))
}

/// Takes the edge between two vertices away.
///
/// 404 if one of them does not exist, 409 if they are not connected.
#[handler(post, "/disconnect/{a}/{b}")]
pub(crate) async fn disconnect(
    vertices: Store<Vertex>,
    components: Store<Component>,
    a: u32,
    b: u32,
) -> Result<SeeOther> {
    for id in [a, b] {
        if vertices.get(&id).await?.is_none() {
            return Err(NotFound::new(format!("there is no vertex {id}")).into());
        }
    }
    let (low, high) = (a.min(b), a.max(b));
    let mut connected = false;
    for (id, target) in [(low, high), (high, low)] {
        connected |= vertices
            .update(id, move |entry| {
                // Looked at before it is taken for change, so that nothing is written where nothing is.
                let has = entry
                    .get()
                    .is_some_and(|vertex| vertex.edge(target).is_some());
                Ok(has
                    && entry
                        .get_mut()
                        .is_some_and(|vertex| vertex.remove_edge(target)))
            })
            .await?;
    }
    let graph = Graph {
        vertices,
        components,
    };
    // Also if there was no edge: an earlier request may have ended between its last removal and this step.
    graph.settle([a, b]).await?;
    if connected {
        Ok(SeeOther::to(format!("/vertex/{a}")))
    } else {
        Err(Conflict::new(format!("{a} and {b} are not connected")).into())
    }
}

/// Milliseconds since the Unix epoch. A clock before it counts as it.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
