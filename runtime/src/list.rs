//! Lists: ordered pages over all partitions, here and at the peers.
//!
//! A page is the first `limit` keys after a cursor. Each node gives its own, in order; the node that was asked merges them.

use std::ops::{Bound, ControlFlow};

use axum::{
    body::Body,
    extract::{FromRequestParts, Query},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    call::{Call, CallFuture, Halt},
    crud::SEGMENT,
    key::{key_text, parse_key},
    node::{Context, Node},
    partitions::Place,
    position::{self, ReadOptions},
    problem::Problem,
    state::State,
};

/// Keys that a page looks at if its prefix can't be found by order. Then it ends, maybe short, with a cursor to go on.
const LOOKED_AT_MAX: usize = 100_000;

/// The query of a list. An empty value counts as one that is left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// What a list is asked for.
#[derive(Debug)]
struct Page {
    /// Only keys whose text begins so.
    prefix: String,
    /// Only keys behind this one, as `next` of the page before gives it.
    after: Option<String>,
    limit: usize,
}

/// One item, with the text of its key.
#[derive(Debug, Serialize, Deserialize)]
struct Item(String, Box<RawValue>);

/// The items of one node.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Part {
    items: Vec<Item>,
    /// Where it stopped looking although there may be more.
    more_after: Option<String>,
}

/// A page as clients see it.
#[derive(Serialize)]
struct Answer<'a> {
    items: Vec<&'a RawValue>,
    next: Option<String>,
}

/// `GET` of the collection.
pub(crate) fn list<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let page = read_page(&mut call).await?;
        let within = within::<S>(&call)?;
        let node = call.node().clone();
        wait_for_positions::<S>(&call, &node).await?;
        let limit = page.limit;
        let mut parts = vec![local::<S>(&node, &page, &within)?];
        for peer in owning_peers::<S>(&node)? {
            parts.push(remote::<S>(&node, peer, &page, &within).await?);
        }
        Ok(merge::<S>(parts, limit)?)
    })
}

/// The part of this node alone, for a peer that merges.
pub(crate) fn part<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let page = read_page(&mut call).await?;
        let within = call.header_text(&position::WITHIN)?.unwrap_or_default();
        let part = local::<S>(call.node(), &page, &within)?;
        Ok(axum::Json(part).into_response())
    })
}

async fn read_page(call: &mut Call) -> Result<Page, Halt> {
    let limits = call.node().config.limits.clone();
    let context = Context(call.node().clone());
    let Query(query) = Query::<PageQuery>::from_request_parts(call.parts_mut(), &context)
        .await
        .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let limit = match given(query.limit) {
        None => limits.list_limit_default,
        Some(text) => match text.parse() {
            Ok(limit) if (1..=limits.list_limit_max).contains(&limit) => limit,
            _ => {
                let max = limits.list_limit_max;
                let detail = format!("`limit` is `{text}`; it is a number from 1 to {max}");
                return Err(Problem::bad_request(detail)
                    .with_extension("limit", max)
                    .into());
            }
        },
    };
    Ok(Page {
        prefix: query.prefix.unwrap_or_default(),
        after: given(query.after),
        limit,
    })
}

/// The text that all keys of a nested collection begin with: `7/` for `/customers/7/orders`.
fn within<S: State>(call: &Call) -> Result<String, Problem> {
    let mut text = String::new();
    for field in S::DEFINITION.key_fields {
        if !call.template().names().any(|name| name == *field) {
            break;
        }
        let value = call.template().value(call.parts().uri.path(), field)?;
        text.push_str(&value.replace('%', "%25").replace('/', "%2F"));
        text.push('/');
    }
    Ok(text)
}

async fn wait_for_positions<S: State>(call: &Call, node: &Node) -> Result<(), Problem> {
    let options = ReadOptions::parse(&call.parts().headers)?;
    let patience = node.config.limits.request_timeout;
    for here in node.partitions::<S>()?.here() {
        here.serving(patience).await?;
        if let Some(position) = options.min_position(&here.partition) {
            here.reach(position, patience).await?;
        }
        if options.strict {
            crate::call::patiently(patience, here.mailbox.ask(crate::mailbox::Job::Fence)).await?;
        }
    }
    Ok(())
}

/// The items of the partitions that this node owns.
fn local<S: State>(node: &Node, page: &Page, within: &str) -> Result<Part, Problem> {
    let limit = page.limit;
    let prefix = format!("{within}{}", page.prefix);
    let after = page
        .after
        .as_deref()
        .map(parse_key::<S>)
        .transpose()
        .map_err(|error| {
            Problem::bad_request(format!("`after` is no key of this collection: {error}"))
        })?;
    // Keys that are strings are in the order of their text, so a prefix is a range. Others are looked through.
    let by_text = std::any::TypeId::of::<S::Key>() == std::any::TypeId::of::<String>();
    let from = (by_text && !prefix.is_empty())
        .then(|| parse_key::<S>(&prefix))
        .transpose()
        .ok()
        .flatten();
    let lower = match (&after, &from) {
        (Some(after), Some(from)) if after >= from => Bound::Excluded(after),
        (_, Some(from)) => Bound::Included(from),
        (Some(after), None) => Bound::Excluded(after),
        (None, None) => Bound::Unbounded,
    };
    let mut found = Vec::new();
    let mut stopped: Option<S::Key> = None;
    for here in node.partitions::<S>()?.here() {
        let mut taken = 0;
        let mut looked_at = 0;
        here.memory.walk(lower, |key, stored| {
            looked_at += 1;
            let text = key_text::<S>(key);
            if text.starts_with(&prefix) {
                found.push((key.clone(), text, stored));
                taken += 1;
            } else if by_text && !prefix.is_empty() {
                return ControlFlow::Break(());
            }
            if looked_at >= LOOKED_AT_MAX {
                stopped = Some(match stopped.take() {
                    Some(other) if other < *key => other,
                    _ => key.clone(),
                });
                return ControlFlow::Break(());
            }
            // One more than asked for tells whether there are more.
            if taken > limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    }
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    if let Some(stopped) = &stopped {
        found.retain(|(key, ..)| key <= stopped);
    }
    found.truncate(limit + 1);
    let items = found.into_iter().map(|(_, text, stored)| {
        let json = serde_json::value::to_raw_value(&stored.state).map_err(Problem::internal)?;
        Ok(Item(text, json))
    });
    Ok(Part {
        items: items.collect::<Result<_, Problem>>()?,
        more_after: stopped.map(|key| key_text::<S>(&key)),
    })
}

fn owning_peers<S: State>(node: &Node) -> Result<Vec<usize>, Problem> {
    let mut peers: Vec<usize> = node
        .partitions::<S>()?
        .places
        .iter()
        .filter_map(|place| match place {
            Place::Peer(peer) => Some(*peer),
            Place::Here(_) | Place::Nowhere => None,
        })
        .collect();
    peers.sort_unstable();
    peers.dedup();
    Ok(peers)
}

async fn remote<S: State>(
    node: &Node,
    peer: usize,
    page: &Page,
    within: &str,
) -> Result<Part, Problem> {
    let encode = |text: &str| percent_encoding::utf8_percent_encode(text, SEGMENT).to_string();
    let mut target = format!(
        "{}?limit={}&prefix={}",
        crate::peer_api::list_path(S::DEFINITION.topic),
        page.limit,
        encode(&page.prefix)
    );
    if let Some(after) = &page.after {
        target.push_str("&after=");
        target.push_str(&encode(after));
    }
    let within = HeaderValue::from_bytes(within.as_bytes()).map_err(Problem::internal)?;
    let headers = [(position::WITHIN, within)];
    let response = node
        .peers
        .call(peer, Method::GET, &target, &headers, Bytes::new())
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
            crate::mailbox::RETRY_AFTER_SECONDS,
        ));
    }
    serde_json::from_slice(&body).map_err(Problem::internal)
}

/// One page of all parts, in the order of the keys.
fn merge<S: State>(parts: Vec<Part>, limit: usize) -> Result<Response, Problem> {
    let key = |text: &str| parse_key::<S>(text).map_err(Problem::internal);
    let mut horizon: Option<S::Key> = None;
    let mut items = Vec::new();
    for part in parts {
        if let Some(text) = part.more_after {
            let stopped = key(&text)?;
            horizon = Some(match horizon.take() {
                Some(other) if other < stopped => other,
                _ => stopped,
            });
        }
        for Item(text, json) in part.items {
            items.push((key(&text)?, text, json));
        }
    }
    items.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    if let Some(horizon) = &horizon {
        items.retain(|(key, ..)| key <= horizon);
    }
    let next = if items.len() > limit {
        items.truncate(limit);
        items.last().map(|(_, text, _)| text.clone())
    } else {
        horizon.map(|key| key_text::<S>(&key))
    };
    let items = items.iter().map(|(_, _, json)| &**json).collect();
    let body = serde_json::to_vec(&Answer { items, next }).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(response)
}
