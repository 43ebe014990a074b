//! Selections: the entities of a state in the order of their keys, from all partitions, here and at the peers.
//!
//! Each node filters and counts its own; the node that was asked merges them.

use std::{
    any::TypeId,
    borrow::Cow,
    collections::BTreeMap,
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
use tokio::time::Instant;

use crate::{
    call::{Call, CallFuture, patiently},
    cluster::{Pause, Peer, Unanswered},
    filter::Filter,
    forward::{self, Envelope},
    key::{KeyError, key_text, parse_key},
    mailbox::RETRY_AFTER_SECONDS,
    memory::{Memory, Stored},
    node::Node,
    partitions::{Copy, Here, Owner, Slot, any},
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

impl<S: State> Default for Part<S> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            more_after: None,
            total: 0,
        }
    }
}

impl<S: State> Part<S> {
    fn add(&mut self, other: Self) {
        self.items.extend(other.items);
        self.total += other.total;
        self.more_after = match (self.more_after.take(), other.more_after) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

impl<S: State> Part<S> {
    /// Keeps the first ones only.
    fn cut(&mut self, most: usize) {
        self.items.sort_by(|a, b| a.key.cmp(&b.key));
        self.items.truncate(most);
    }
}

/// What is asked of a peer.
#[derive(Serialize, Deserialize)]
struct Request<'a> {
    partitions: Vec<u32>,
    selection: Cow<'a, Selection>,
}

/// For the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn request_again(bytes: &[u8]) -> crate::fuzzing::Again {
    crate::fuzzing::json::<Request<'static>>(bytes)
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
    let deadline = Instant::now() + node.config.limits.request_timeout;
    let mut left = slots(node, &bounds)?.to_vec();
    let mut parts = Vec::new();
    let mut pause = Pause::new(deadline);
    loop {
        let options = ReadOptions::parse(headers)?;
        let asked = Asked::new(node, &options, left, deadline).await?;
        let remote = asked.at_peers.into_values().map(async |at| {
            let part = remote(node, headers, &at, selection, deadline).await;
            (part, at.slots)
        });
        let (local, remote) = futures_util::future::join(
            local(&bounds, &options, &asked.copies, &asked.owned, deadline),
            futures_util::future::join_all(remote),
        )
        .await;
        let (part, mut moved) = local?;
        parts.push(part);
        for (part, slots) in remote {
            match part {
                Ok(part) => parts.push(part),
                Err(Unanswered::Refused(problem)) => return Err(problem),
                Err(Unanswered::Moved | Unanswered::Undone(_) | Unanswered::Unknown) => {
                    moved.extend(slots);
                }
            }
        }
        if moved.is_empty() {
            return Ok(merge(parts, selection));
        }
        if pause.wait(&node.cluster).await.is_err() {
            return Err(incomplete(&moved));
        }
        left = moved;
    }
}

/// Who is asked for which partitions.
struct Asked<S: State> {
    copies: Vec<Arc<Copy<S>>>,
    owned: Vec<Owned<S>>,
    /// By the node's name.
    at_peers: BTreeMap<Arc<str>, AtPeer<S>>,
}

/// A partition that this node owns.
struct Owned<S: State> {
    slot: Arc<Slot<S>>,
    here: Arc<Here<S>>,
}

/// Partitions that a peer owns.
struct AtPeer<S: State> {
    peer: Peer,
    slots: Vec<Arc<Slot<S>>>,
}

impl<S: State> Asked<S> {
    /// Waits until each of them has an owner.
    async fn new(
        node: &Node,
        options: &ReadOptions<'_>,
        slots: Vec<Arc<Slot<S>>>,
        deadline: Instant,
    ) -> Result<Self, Problem> {
        let mut asked = Self {
            copies: Vec::new(),
            owned: Vec::new(),
            at_peers: BTreeMap::new(),
        };
        let mut owned = Vec::with_capacity(slots.len());
        for slot in slots {
            match slot.copy() {
                Some(copy)
                    if options.replica
                        && slot.here().is_none()
                        && copy.satisfies(options, any(), deadline).await =>
                {
                    asked.copies.push(copy);
                }
                _ => owned.push(slot),
            }
        }
        let slots = owned;
        let owners = slots.iter().map(|slot| slot.owner(deadline));
        let owners = futures_util::future::join_all(owners).await;
        let mut nobody = Vec::new();
        for (slot, owner) in slots.into_iter().zip(owners) {
            match owner {
                Ok(Owner::Here(here)) => asked.owned.push(Owned { slot, here }),
                Ok(Owner::Peer(peer)) => {
                    let at_peer = asked.at_peers.entry(peer.node.clone());
                    let slots = Vec::new();
                    at_peer.or_insert(AtPeer { peer, slots }).slots.push(slot);
                }
                // What this node is not to know, such as a limit on the partitions that it serves, leaves the rest as it is.
                Err(_) if node.config.serve.is_some() && slot.is_nobodys() => {}
                Err(_) => nobody.push(slot),
            }
        }
        if nobody.is_empty() {
            Ok(asked)
        } else {
            Err(incomplete(&nobody))
        }
    }
}

/// The answer when some partitions could not be asked.
fn incomplete<S: State>(slots: &[Arc<Slot<S>>]) -> Problem {
    let names: Vec<String> = slots
        .iter()
        .map(|slot| slot.partition.to_string())
        .collect();
    let detail = format!(
        "a part of the answer can't be had now, that of {}; all others could",
        names.join(", ")
    );
    Problem::unavailable(detail, RETRY_AFTER_SECONDS).with_extension("unavailable", names)
}

/// The part of this node alone, for a peer that merges.
pub(crate) fn part<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let request: Request<'_> = call.read_json(None).await?;
        let bounds = Bounds::<S>::new(&request.selection).map_err(Problem::internal)?;
        let node = call.node().clone();
        let slots = &node.partitions::<S>()?.slots;
        let wanted = request.partitions.iter();
        let wanted = wanted.filter_map(|number| slots.get(*number as usize).cloned());
        let options = ReadOptions::parse(&call.parts().headers)?;
        let deadline = call.deadline();
        let asked = Asked::new(&node, &options, wanted.collect(), deadline).await?;
        if !asked.at_peers.is_empty() {
            return Ok(forward::moved());
        }
        let local = local(&bounds, &options, &asked.copies, &asked.owned, deadline);
        let (part, moved) = local.await?;
        if !moved.is_empty() {
            return Ok(forward::moved());
        }
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
fn slots<'n, S: State>(
    node: &'n Node,
    bounds: &Bounds<'_, S>,
) -> Result<&'n [Arc<Slot<S>>], Problem> {
    let partitions = node.partitions::<S>()?;
    let Some(from) = &bounds.selection.from else {
        return Ok(&partitions.slots);
    };
    let known = bounds.selection.within.matches('/').count();
    let known = S::DEFINITION.key_fields.get(..known).unwrap_or_default();
    let by = S::DEFINITION.partition_by;
    if by.is_empty() || !by.iter().all(|field| known.contains(field)) {
        return Ok(&partitions.slots);
    }
    let from = parse_key::<S>(from).map_err(Problem::internal)?;
    Ok(std::slice::from_ref(partitions.locate(&from)))
}

/// The matches in partitions that this node has, and those which it does not own any more.
async fn local<S: State>(
    bounds: &Bounds<'_, S>,
    options: &ReadOptions<'_>,
    copies: &[Arc<Copy<S>>],
    owned: &[Owned<S>],
    deadline: Instant,
) -> Result<(Part<S>, Vec<Arc<Slot<S>>>), Problem> {
    let Selection { offset, limit, .. } = bounds.selection;
    let most = offset.saturating_add(*limit).saturating_add(1);
    let mut whole = Part::default();
    let mut moved = Vec::new();
    for copy in copies {
        let mut part = Part::default();
        walk(&copy.memory, bounds, most, &mut part);
        whole.add(part);
        whole.cut(most);
        tokio::task::yield_now().await;
    }
    for Owned { slot, here } in owned {
        if let Some(position) = options.min_position(&here.partition) {
            here.reach(position, deadline).await?;
        }
        let walked = here.read(
            options.strict,
            Some((Bound::Unbounded, Bound::Unbounded)),
            |memory| {
                let mut part = Part::default();
                walk(memory, bounds, most, &mut part);
                part
            },
        );
        match patiently(deadline, walked).await {
            Ok(part) => whole.add(part),
            Err(Unanswered::Refused(problem)) => return Err(problem),
            Err(Unanswered::Moved | Unanswered::Undone(_) | Unanswered::Unknown) => {
                moved.push(slot.clone());
            }
        }
        whole.cut(most);
        // A walk may take long; others get their turn between two.
        tokio::task::yield_now().await;
    }
    if let Some(stopped) = &whole.more_after {
        whole.items.retain(|item| item.key <= *stopped);
    }
    Ok((whole, moved))
}

fn walk<S: State>(memory: &Memory<S>, bounds: &Bounds<'_, S>, most: usize, part: &mut Part<S>) {
    let count_by_walking = bounds.selection.count && !bounds.takes_all();
    if bounds.selection.count && bounds.takes_all() {
        part.total += memory.len() as u64;
    }
    let (mut taken, mut looked_at) = (0, 0);
    memory.walk(bounds.lower.as_ref(), |key, stored| {
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
            part.more_after = Some(key.clone());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
}

async fn remote<S: State>(
    node: &Node,
    headers: &HeaderMap,
    AtPeer { peer, slots }: &AtPeer<S>,
    selection: &Selection,
    deadline: Instant,
) -> Result<Part<S>, Unanswered> {
    let request = Request {
        partitions: slots.iter().map(|slot| slot.partition.partition).collect(),
        selection: Cow::Borrowed(selection),
    };
    let body = serde_json::to_vec(&request).map_err(Problem::internal)?;
    let json = HeaderValue::from_static("application/json");
    let mut sent: Vec<(HeaderName, HeaderValue)> = vec![(header::CONTENT_TYPE, json)];
    for name in [position::MIN_POSITION, position::READ] {
        if let Some(value) = headers.get(&name) {
            sent.push((name, value.clone()));
        }
    }
    let target = select_path(S::DEFINITION.topic);
    let (peers, envelope) = (&node.cluster.peers, Envelope::own(deadline));
    let (post, body) = (Method::POST, Bytes::from(body));
    let asked = peers.call(peer, post, &target, &sent, body, envelope);
    let response = node.cluster.while_there(peer, asked).await?;
    let status = response.status();
    let body = response.into_body().collect().await;
    let body = body.map_err(|_| Unanswered::Unknown)?.to_bytes();
    if status != StatusCode::OK {
        let names: Vec<_> = slots.iter().map(|slot| &slot.partition).collect();
        tracing::debug!(node = &*peer.node, %status, ?names, "a part of a list was refused");
        return Err(Unanswered::Unknown);
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
    let mut whole = Part::default();
    for part in parts {
        whole.add(part);
    }
    let Part {
        mut items,
        more_after: horizon,
        total,
    } = whole;
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
