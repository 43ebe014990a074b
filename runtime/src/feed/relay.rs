//! The feed of a partition that another node makes.

use std::sync::Arc;

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};

use super::{Asked, filter::Filter, follower, item::Item, local::Local, mark::Mark};
use crate::{
    ambient::select,
    call::{Call, CallFuture},
    cluster::{Peer, Unanswered},
    coordinator::View,
    forward::{self, Envelope},
    key::{key_text, parse_key},
    node::Node,
    partitions::Slot,
    problem::Problem,
    state::State,
};

/// The path of feeds for peers.
pub(crate) fn path(topic: &str) -> String {
    format!("/_memgen/{topic}/feed")
}

/// What a peer is asked for.
#[derive(Serialize, Deserialize)]
struct Request {
    partition: u32,
    /// One key, or else all that begin with the prefix.
    key: Option<String>,
    prefix: String,
    /// How far the feed was shown before.
    from: Option<String>,
}

/// For the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn request_again(bytes: &[u8]) -> crate::fuzzing::Again {
    crate::fuzzing::json::<Request>(bytes)
}

/// A feed that a peer makes.
pub(super) struct Relay {
    peer: Peer,
    lines: BodyDataStream,
    read: BytesMut,
    views: watch::Receiver<Arc<View>>,
}

impl Relay {
    /// Asks a peer for the feed of a partition.
    pub(super) async fn open<S: State>(
        node: &Node,
        peer: Peer,
        slot: &Slot<S>,
        asked: &Asked<S>,
        from: Option<Mark>,
        deadline: Instant,
    ) -> Result<Self, Unanswered> {
        let (key, prefix) = match &asked.filter {
            Filter::Key(key) => (Some(key_text::<S>(key)), String::new()),
            Filter::Prefix { prefix, .. } => (None, prefix.clone()),
        };
        let request = Request {
            partition: slot.partition.partition,
            key,
            prefix,
            from: from.map(|mark| mark.to_string()),
        };
        let body = serde_json::to_vec(&request).map_err(Problem::internal)?;
        let json = HeaderValue::from_static("application/json");
        let mut headers = vec![(header::CONTENT_TYPE, json)];
        for (name, value) in &asked.headers {
            headers.push((name.clone(), value.clone()));
        }
        let target = path(S::DEFINITION.topic);
        let envelope = Envelope::own(deadline);
        let (post, body) = (Method::POST, Bytes::from(body));
        let peers = &node.feeds.peers;
        let sent = peers.call(&peer, post, &target, &headers, body, envelope);
        let response = node.cluster.while_there(&peer, sent).await?;
        if response.status() != StatusCode::OK {
            let (at, status) = (&slot.partition, response.status());
            tracing::debug!(node = &*peer.node, partition = %at, %status, "a feed was refused");
            return Err(Unanswered::Unknown);
        }
        let (_, views) = node.cluster.view();
        Ok(Self {
            peer,
            lines: response.into_body().into_data_stream(),
            read: BytesMut::new(),
            views,
        })
    }

    /// What comes next; none once the peer makes it no more.
    pub(super) async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end + 1);
                return Item::of_line(&line);
            }
            let Self {
                peer,
                lines,
                read,
                views,
            } = self;
            let is_gone = |view: &Arc<View>| {
                let node = view.nodes.get(&*peer.node);
                node.is_none_or(|node| node.peer != peer.address)
            };
            select! {
                more = lines.next() => match more {
                    Some(Ok(bytes)) => read.extend_from_slice(&bytes),
                    _ => return None,
                },
                // It lives, but may hear of nothing any more.
                _ = views.wait_for(is_gone) => return None,
            }
        }
    }
}

/// The feed of one partition, for a peer.
pub(crate) fn serve<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let request: Request = call.read_json(None).await?;
        let node = call.node().clone();
        let slots = &node.partitions::<S>()?.slots;
        let Some(slot) = slots.get(request.partition as usize).cloned() else {
            return Err(Problem::bad_request("there is no such partition").into());
        };
        let from = request
            .from
            .as_deref()
            .map(|text| Mark::parse(text).ok_or_else(|| Problem::bad_request("`from` is no mark")));
        let from = from.transpose()?;
        let asked = Asked {
            filter: match &request.key {
                Some(key) => Filter::Key(parse_key::<S>(key)?),
                None => Filter::prefix(request.prefix),
            },
            headers: call.parts().headers.clone(),
        };
        let opened = follower::open_here(&node, &slot, &asked, from, call.deadline()).await?;
        let Some(opened) = opened else {
            return Ok(forward::moved());
        };
        Ok(lines(&node, opened))
    })
}

/// The items of a feed as lines, until it ends or the node stops.
fn lines<S: State>(node: &Node, opened: Local<S>) -> Response {
    let begun = (opened, node.feeds.stopped.clone());
    let lines = stream::unfold(begun, |(mut local, mut stopped)| async move {
        let item = select! {
            _ = stopped.wait_for(|stopped| *stopped) => None,
            item = local.next() => item,
        }?;
        Some((
            Ok::<_, std::convert::Infallible>(item.to_line()),
            (local, stopped),
        ))
    });
    Response::new(Body::from_stream(lines))
}
