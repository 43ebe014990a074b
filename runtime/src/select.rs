//! Selections: the entities of a state in the order of their keys, from all partitions, here and at the peers.
//!
//! Each node filters and counts its own; the node that was asked merges them.

use std::{
    any::TypeId,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    call::{Call, CallFuture, patiently},
    filter::Filter,
    key::{KeyError, key_text, parse_key},
    mailbox::{Job, RETRY_AFTER_SECONDS},
    memory::Stored,
    node::Node,
    partitions::{Here, Place},
    peer_api::select_path,
    position::{self, ReadOptions},
    problem::Problem,
    state::State,
};

/// Keys of one partition that a selection looks at if it can't be found by order. Then it ends, maybe short, with the key to go on from.
pub(crate) const LOOKED_AT_MAX: usize = 100_000;

/// What is asked of each node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Selection {
    /// Only keys whose first parts these are: `7/` for `/customers/7/orders`.
    pub(crate) within: String,
    /// The smallest key that begins with `within`, if it is known. Then the keys are found by order, and maybe in one partition.
    pub(crate) from: Option<String>,
    /// Only keys whose text goes on so.
    pub(crate) prefix: String,
    /// Only keys behind this one.
    pub(crate) after: Option<String>,
    /// Only entities that pass all of them.
    pub(crate) filters: Vec<Filter>,
    /// Matches that are left out.
    pub(crate) offset: usize,
    /// The most entities.
    pub(crate) limit: usize,
    /// Whether all matches are counted, also those on other pages.
    pub(crate) count: bool,
}

/// The entities of one page.
pub(crate) struct Selected<S: State> {
    pub(crate) items: Vec<Item<S>>,
    /// The key behind which more may be.
    pub(crate) next: Option<String>,
    /// All matches, if they were counted.
    #[cfg_attr(
        not(feature = "contract"),
        expect(dead_code, reason = "only documents ask for it")
    )]
    pub(crate) total: u64,
}

/// An entity with its key.
pub(crate) struct Item<S: State> {
    pub(crate) key: S::Key,
    pub(crate) text: String,
    pub(crate) entity: Found<S>,
}

/// An entity, as a node has it or as a peer sent it.
pub(crate) enum Found<S: State> {
    Here(Arc<Stored<S>>),
    There(Box<RawValue>),
}

impl<S: State> Serialize for Found<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        match self {
            Self::Here(stored) => stored.state.serialize(serializer),
            Self::There(json) => json.serialize(serializer),
        }
    }
}

/// What one node has of a selection.
struct Part<S: State> {
    items: Vec<Item<S>>,
    /// Where it stopped looking although there may be more.
    more_after: Option<S::Key>,
    total: u64,
}

/// A part on its way between nodes.
#[derive(Serialize)]
struct Sent<'a, S: State> {
    items: Vec<(&'a str, &'a Found<S>)>,
    more_after: Option<String>,
    total: u64,
}

#[derive(Deserialize)]
struct Received {
    items: Vec<(String, Box<RawValue>)>,
    more_after: Option<String>,
    total: u64,
}

/// A selection for one kind of state, with its keys read.
struct Bounds<'a, S: State> {
    selection: &'a Selection,
    lower: Bound<S::Key>,
    prefix: String,
    /// Whether keys are in the order of their text, so that a prefix is a range.
    by_text: bool,
}

impl<'a, S: State> Bounds<'a, S> {
    fn new(selection: &'a Selection) -> Result<Self, KeyError> {
        let prefix = format!("{}{}", selection.within, selection.prefix);
        let by_text = TypeId::of::<S::Key>() == TypeId::of::<String>();
        let after = selection.after.as_deref().map(parse_key::<S>).transpose()?;
        let from = match &selection.from {
            Some(from) => Some(parse_key::<S>(from)?),
            None if by_text && !prefix.is_empty() => parse_key::<S>(&prefix).ok(),
            None => None,
        };
        let lower = match (after, from) {
            (Some(after), Some(from)) if after >= from => Bound::Excluded(after),
            (_, Some(from)) => Bound::Included(from),
            (Some(after), None) => Bound::Excluded(after),
            (None, None) => Bound::Unbounded,
        };
        Ok(Self {
            selection,
            lower,
            prefix,
            by_text,
        })
    }

    /// Whether no key behind this one can match, given that this one does not.
    fn is_past(&self, text: &str) -> bool {
        if self.by_text {
            !self.prefix.is_empty()
        } else {
            self.selection.from.is_some() && !text.starts_with(&self.selection.within)
        }
    }

    fn passes(&self, state: &S) -> bool {
        let filters = &self.selection.filters;
        // Only a filter needs the entity as JSON.
        filters.is_empty()
            || serde_json::to_value(state)
                .is_ok_and(|state| filters.iter().all(|filter| filter.passes(&state)))
    }

    /// Whether the number of matches in a partition is the number of its keys.
    fn takes_all(&self) -> bool {
        self.prefix.is_empty() && self.selection.filters.is_empty()
    }
}

/// The page that a request asks for.
///
/// # Errors
/// 400 if the keys in it are none of this state; 503 if a part can't be had.
pub(crate) async fn select<S: State>(
    node: &Node,
    headers: &HeaderMap,
    selection: &Selection,
) -> Result<Selected<S>, Problem> {
    let bounds = Bounds::<S>::new(selection)
        .map_err(|error| Problem::bad_request(format!("no key of this collection: {error}")))?;
    let places = places(node, &bounds)?;
    let mut parts = vec![local(node, headers, &bounds, places).await?];
    let mut peers: Vec<usize> = places.iter().filter_map(Place::peer).collect();
    peers.sort_unstable();
    peers.dedup();
    for peer in peers {
        parts.push(remote::<S>(node, headers, peer, selection).await?);
    }
    Ok(merge(parts, selection))
}

/// The part of this node alone, for a peer that merges.
pub(crate) fn part<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let selection: Selection = call.read_json(None).await?;
        let bounds = Bounds::<S>::new(&selection).map_err(Problem::internal)?;
        let node = call.node().clone();
        let places = places(&node, &bounds)?;
        let part = local(&node, &call.parts().headers, &bounds, places).await?;
        let items = part.items.iter();
        let sent = Sent {
            items: items.map(|item| (&*item.text, &item.entity)).collect(),
            more_after: part.more_after.as_ref().map(key_text::<S>),
            total: part.total,
        };
        Ok(axum::Json(sent).into_response())
    })
}

/// The partitions in which matches may be: one, if the parts of the key that decide it are known.
fn places<'n, S: State>(node: &'n Node, bounds: &Bounds<'_, S>) -> Result<&'n [Place<S>], Problem> {
    let partitions = node.partitions::<S>()?;
    let Some(from) = &bounds.selection.from else {
        return Ok(&partitions.places);
    };
    let known = bounds.selection.within.matches('/').count();
    let known = S::DEFINITION.key_fields.get(..known).unwrap_or_default();
    let by = S::DEFINITION.partition_by;
    if by.is_empty() || !by.iter().all(|field| known.contains(field)) {
        return Ok(&partitions.places);
    }
    let from = parse_key::<S>(from).map_err(Problem::internal)?;
    Ok(std::slice::from_ref(partitions.locate(&from)))
}

/// The matches in partitions that this node owns.
async fn local<S: State>(
    node: &Node,
    headers: &HeaderMap,
    bounds: &Bounds<'_, S>,
    places: &[Place<S>],
) -> Result<Part<S>, Problem> {
    let options = ReadOptions::parse(headers)?;
    let patience = node.config.limits.request_timeout;
    let most = bounds.selection.offset + bounds.selection.limit + 1;
    let mut part = Part {
        items: Vec::new(),
        more_after: None,
        total: 0,
    };
    for here in places.iter().filter_map(Place::here) {
        here.serving(patience).await?;
        if let Some(position) = options.min_position(&here.partition) {
            here.reach(position, patience).await?;
        }
        if options.strict {
            patiently(patience, here.mailbox.ask(Job::Fence)).await?;
        }
        walk(here, bounds, most, &mut part);
        part.items.sort_by(|a, b| a.key.cmp(&b.key));
        part.items.truncate(most);
        // A walk may take long; others get their turn between two.
        tokio::task::yield_now().await;
    }
    if let Some(stopped) = &part.more_after {
        part.items.retain(|item| item.key <= *stopped);
    }
    Ok(part)
}

fn walk<S: State>(here: &Here<S>, bounds: &Bounds<'_, S>, most: usize, part: &mut Part<S>) {
    let count_by_walking = bounds.selection.count && !bounds.takes_all();
    if bounds.selection.count && bounds.takes_all() {
        part.total += here.memory.len() as u64;
    }
    let (mut taken, mut looked_at) = (0, 0);
    here.memory.walk(bounds.lower.as_ref(), |key, stored| {
        looked_at += 1;
        let text = key_text::<S>(key);
        if !text.starts_with(&bounds.prefix) {
            if bounds.is_past(&text) {
                return ControlFlow::Break(());
            }
        } else if bounds.passes(&stored.state) {
            part.total += u64::from(count_by_walking);
            if taken < most {
                taken += 1;
                part.items.push(Item {
                    key: key.clone(),
                    text,
                    entity: Found::Here(stored),
                });
            }
        }
        // One more than asked for tells whether there are more.
        if taken >= most && !count_by_walking {
            return ControlFlow::Break(());
        }
        if looked_at >= LOOKED_AT_MAX {
            let stopped = part.more_after.take();
            part.more_after = Some(match stopped {
                Some(other) if other < *key => other,
                _ => key.clone(),
            });
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
}

async fn remote<S: State>(
    node: &Node,
    headers: &HeaderMap,
    peer: usize,
    selection: &Selection,
) -> Result<Part<S>, Problem> {
    let body = serde_json::to_vec(selection).map_err(Problem::internal)?;
    let json = HeaderValue::from_static("application/json");
    let mut sent: Vec<(HeaderName, HeaderValue)> = vec![(header::CONTENT_TYPE, json)];
    for name in [position::MIN_POSITION, position::READ] {
        if let Some(value) = headers.get(&name) {
            sent.push((name, value.clone()));
        }
    }
    let target = select_path(S::DEFINITION.topic);
    let response = node
        .peers
        .call(peer, Method::POST, &target, &sent, Bytes::from(body))
        .await?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(Problem::internal)?
        .to_bytes();
    if status != StatusCode::OK {
        return Err(Problem::unavailable(
            "a part of the list could not be had from its owner",
            RETRY_AFTER_SECONDS,
        ));
    }
    let received: Received = serde_json::from_slice(&body).map_err(Problem::internal)?;
    let key = |text: &str| parse_key::<S>(text).map_err(Problem::internal);
    let items = received.items.into_iter().map(|(text, json)| {
        Ok(Item {
            key: key(&text)?,
            text,
            entity: Found::There(json),
        })
    });
    Ok(Part {
        items: items.collect::<Result<_, Problem>>()?,
        more_after: received.more_after.as_deref().map(key).transpose()?,
        total: received.total,
    })
}

/// One page of all parts, in the order of the keys.
fn merge<S: State>(parts: Vec<Part<S>>, selection: &Selection) -> Selected<S> {
    let mut horizon: Option<S::Key> = None;
    let mut items = Vec::new();
    let mut total = 0;
    for part in parts {
        total += part.total;
        items.extend(part.items);
        horizon = match (horizon, part.more_after) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    items.sort_by(|a, b| a.key.cmp(&b.key));
    if let Some(horizon) = &horizon {
        items.retain(|item| item.key <= *horizon);
    }
    let mut items: Vec<_> = items.into_iter().skip(selection.offset).collect();
    let next = if items.len() > selection.limit {
        items.truncate(selection.limit);
        items.last().map(|item| item.text.clone())
    } else {
        horizon.map(|key| key_text::<S>(&key))
    };
    Selected { items, next, total }
}
