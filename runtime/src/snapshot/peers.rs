//! Snapshots from node to node: a node that has none of a partition gets one from a node that is in sync, rather than read the whole log.

use std::{io, io::Read as _, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt as _;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tracing::{debug, info};

use super::Keeper;
use crate::{
    admin::Health,
    ambient::{spawn, work},
    cluster::{Cluster, Peer},
    forward::Envelope,
    log::TopicPartition,
    problem::Problem,
};

/// How long a peer may take to begin, or to go on.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much is read from a file at once, and so many pieces wait to be sent.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_MAX: usize = 2;

fn path(partition: &TopicPartition) -> String {
    let TopicPartition { topic, partition } = partition;
    format!("/_memgen/snapshot/{topic}/{partition}")
}

/// Where a node gives its snapshots to others.
pub(crate) fn router(health: &Arc<Health>) -> Router {
    let health = health.clone();
    let give = move |Path((topic, partition)): Path<(String, u32)>| async move {
        let partition = TopicPartition::new(topic, partition);
        let mut keepers = health.watched.iter().filter_map(|watched| watched.keeper());
        match keepers.find(|keeper| keeper.partition == partition) {
            Some(keeper) => give(keeper),
            None => nothing(&partition),
        }
    };
    Router::new().route("/_memgen/snapshot/{topic}/{partition}", get(give))
}

fn nothing(partition: &TopicPartition) -> Response {
    Problem::not_found(format!("there is no snapshot of {partition} here")).into_response()
}

/// Streams the snapshot that is kept.
fn give(keeper: &Keeper) -> Response {
    let depot = keeper.common.depot.as_ref();
    let opened = depot.map_or(Ok(None), |depot| depot.open(&keeper.partition));
    let (mut input, length) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return nothing(&keeper.partition),
        Err(error) => return Problem::internal(error).into_response(),
    };
    let (sender, pieces) = mpsc::channel::<io::Result<Bytes>>(PIECES_MAX);
    let read = async move {
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let mut some = input.by_ref().take(PIECE_BYTES as u64);
            let piece = match some.read_to_end(&mut piece) {
                Ok(0) => return,
                Ok(_) => Ok(Bytes::from(piece)),
                Err(error) => Err(error),
            };
            // Whoever wanted it may have gone.
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    };
    spawn(async move { drop(work(read).await) });
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let headers = [(header::CONTENT_LENGTH, length.to_string())];
    (headers, Body::from_stream(pieces)).into_response()
}

/// The nodes that may have a snapshot that is worth while: those in sync, and before all others those that don't own the partition.
pub(super) fn in_sync(cluster: &Cluster, partition: &TopicPartition) -> Vec<Peer> {
    let view = cluster.now();
    let owner = view.holder(partition).map(|holder| &holder.node);
    let others = view.nodes.values();
    let mut others: Vec<_> = others
        .filter(|node| *node.id != *cluster.me && node.in_sync.contains(partition))
        .collect();
    others.sort_by_key(|node| owner == Some(&node.id));
    others
        .into_iter()
        .map(crate::coordinator::Node::peer)
        .collect()
}

/// Copies the snapshot of a peer into the depot: whether there is one now. What is in it is looked at when it is loaded.
pub(super) async fn copy(keeper: &Keeper, cluster: &Cluster, peer: &Peer) -> bool {
    match try_copy(keeper, cluster, peer).await {
        Ok(Some(bytes)) => {
            info!(partition = %keeper.partition, node = &*peer.node, bytes, "copied a snapshot");
            true
        }
        Ok(None) => false,
        Err(error) => {
            debug!(partition = %keeper.partition, node = &*peer.node, %error, "no snapshot of a peer");
            false
        }
    }
}

async fn try_copy(keeper: &Keeper, cluster: &Cluster, peer: &Peer) -> io::Result<Option<u64>> {
    let Some(depot) = &keeper.common.depot else {
        return Ok(None);
    };
    let envelope = Envelope::own(Instant::now() + PATIENCE);
    let path = path(&keeper.partition);
    let asked = cluster
        .peers
        .call(peer, Method::GET, &path, &[], Bytes::new(), envelope);
    let response = asked
        .await
        .map_err(|why| io::Error::other(format!("{why:?}")))?;
    if response.status() != StatusCode::OK {
        return Ok(None);
    }
    let mut body = response.into_body();
    let mut draft = depot.begin(&keeper.partition)?;
    let mut bytes = 0;
    while let Some(frame) = timeout(PATIENCE, body.frame()).await? {
        if let Ok(piece) = frame.map_err(io::Error::other)?.into_data() {
            draft.write_all(&piece)?;
            bytes += piece.len() as u64;
        }
    }
    draft.keep()?;
    Ok(Some(bytes))
}
