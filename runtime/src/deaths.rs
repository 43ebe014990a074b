//! Proof of death (rule 12): a process that is gone serves no reads, so nobody need wait for its session to end.
//!
//! A connection to each other node stays open. If it breaks, and a new one is *refused*, or answered by another incarnation, the process is gone. A process that is paused
//! still accepts, since the kernel does; silence, a time-out or an unconfirmed reset prove nothing, and then the session decides. Where nodes speak TLS, whoever answers has shown a certificate for that address; a
//! handshake that fails proves nothing either.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method},
    response::Response,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use tokio::{sync::watch, task::AbortHandle, time::Instant};
use tracing::info;

use crate::{
    ambient::{select, spawn},
    broken::{Bug, is_broken},
    cluster::{Peer, Unanswered},
    coordinator::{Node, View},
    forward::{Envelope, Peers},
    network::Stream,
};

/// Where a node says which incarnation it is, in an answer that does not end before the node does.
pub(crate) const ALIVE_PATH: &str = "/_memgen/alive";
const INCARNATION: HeaderName = HeaderName::from_static("memgen-incarnation");

const ANSWER_MAX: Duration = Duration::from_secs(5);
const CONNECT_MAX: Duration = Duration::from_millis(500);
const RETRY: Duration = Duration::from_millis(20);
/// The same where one of the two has to be mended first.
const REFUSED_RETRY: Duration = Duration::from_secs(1);

/// The answer at [`ALIVE_PATH`].
pub(crate) fn alive(incarnation: u64, mut stopped: watch::Receiver<bool>) -> Response {
    let end = futures_util::stream::once(async move {
        drop(stopped.wait_for(|stopped| *stopped).await);
        Ok::<_, std::convert::Infallible>(Bytes::new())
    });
    let mut response = Response::new(Body::from_stream(end.boxed()));
    response
        .headers_mut()
        .insert(INCARNATION, HeaderValue::from(incarnation));
    response
}

/// The view of the coordinator without the nodes of which this node has proof that they are gone. It runs until the coordinator is gone.
pub(crate) async fn bury(
    me: Arc<str>,
    peers: Peers,
    mut seen: watch::Receiver<Arc<View>>,
    shown: watch::Sender<Arc<View>>,
    dead: watch::Sender<BTreeSet<u64>>,
) {
    let mut died = dead.subscribe();
    let mut probes: BTreeMap<u64, AbortHandle> = BTreeMap::new();
    loop {
        let view = seen.borrow_and_update().clone();
        let others = view.nodes.values().filter(|node| *node.id != *me);
        let others: BTreeMap<u64, &Node> = others.map(|node| (node.incarnation, node)).collect();
        probes.retain(|incarnation, probe| {
            let there = others.contains_key(incarnation);
            if !there {
                probe.abort();
            }
            there
        });
        for (incarnation, node) in &others {
            probes.entry(*incarnation).or_insert_with(|| {
                let probe = watch_over(node.peer(), *incarnation, peers.clone(), dead.clone());
                spawn(probe).abort_handle()
            });
        }
        let gone = died.borrow_and_update().clone();
        if others.keys().any(|incarnation| gone.contains(incarnation)) {
            let mut living = (*view).clone();
            living
                .nodes
                .retain(|_, node| !gone.contains(&node.incarnation));
            shown.send_replace(Arc::new(living));
        } else {
            shown.send_replace(view);
        }
        select! {
            changed = seen.changed() => if changed.is_err() { break },
            _ = died.changed() => {}
            () = shown.closed() => break,
        }
    }
    for probe in probes.values() {
        probe.abort();
    }
}

/// Finds out when a node's process is gone.
async fn watch_over(
    peer: Peer,
    incarnation: u64,
    peers: Peers,
    dead: watch::Sender<BTreeSet<u64>>,
) {
    let mut met = false;
    loop {
        let envelope = Envelope::own(Instant::now() + ANSWER_MAX);
        let answer = peers
            .call(&peer, Method::GET, ALIVE_PATH, &[], Bytes::new(), envelope)
            .await;
        let mut other = false;
        let retry = match &answer {
            Err(Unanswered::Refused(_)) => REFUSED_RETRY,
            _ => RETRY,
        };
        if let Ok(response) = answer {
            let named = response.headers().get(&INCARNATION);
            let named = named.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            met |= named == Some(incarnation);
            other = named.is_some_and(|named| named != incarnation);
            if !other {
                let mut body = response.into_body();
                while let Some(Ok(_)) = body.frame().await {}
            }
        }
        if other || (met && (is_refused(peer.address).await || is_broken(Bug::DeathBySilence))) {
            info!(node = &*peer.node, "its process is gone");
            dead.send_if_modified(|dead| dead.insert(incarnation));
            return;
        }
        tokio::time::sleep(retry).await;
    }
}

async fn is_refused(address: SocketAddr) -> bool {
    let connected = tokio::time::timeout(CONNECT_MAX, Stream::connect(address)).await;
    matches!(connected, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
}
