//! `crud(get, list)`: read from what this node has.

use std::{ops::Bound, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use xxhash_rust::xxh3::xxh3_64;

use super::{ExternalState, folded::Folded, view::View};
use crate::{
    call::{Call, CallFuture, missing},
    conditional::{Conditions, Etag, ReadOutcome},
    key::{key_text, parse_key},
    list::{Answer, read_page, within},
    position::{self, ReadOptions},
    problem::Problem,
    select::{LOOKED_AT_MAX, Selection},
};

/// `GET` of one value.
pub(super) fn get<R: ExternalState>(call: Call) -> CallFuture {
    Box::pin(async move {
        let key = call.key::<Folded<R>>()?;
        let view = call.node().externals.view::<R>()?;
        let headers = &call.parts().headers;
        let conditions = Conditions::parse(headers)?;
        let options = ReadOptions::parse(headers)?;
        view.satisfies(&options, call.deadline()).await?;
        // Before the value is looked at: it may only be newer.
        let age = view.age();
        let Some((value, gauge)) = view.find(&key) else {
            let mut response = missing::<Folded<R>>(&key).into_response();
            say_age(age, response.headers_mut());
            return Ok(response);
        };
        let body = serde_json::to_vec(&*value).map_err(Problem::internal)?;
        let etag = Etag(xxh3_64(&body));
        let mut response = match conditions.check_read(etag) {
            ReadOutcome::Send => json(body),
            ReadOutcome::NotModified => StatusCode::NOT_MODIFIED.into_response(),
            ReadOutcome::Failed => {
                let what = "`If-Match`: the entity has another version";
                return Err(Problem::precondition_failed(what).into());
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag.header_value());
        say_age(age, headers);
        if let Some(last) = gauge.next().checked_sub(1) {
            let position = position::header_value(&gauge.partition, last);
            headers.insert(position::POSITION, position);
        }
        Ok(response)
    })
}

/// `GET` of the collection: pages in the order of the keys.
pub(super) fn list<R: ExternalState>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let selection = Selection {
            within: within::<Folded<R>>(&call)?,
            ..read_page(&mut call).await?
        };
        let after = selection.after.as_deref().map(parse_key::<Folded<R>>);
        let after = after.transpose().map_err(|error| {
            Problem::bad_request(format!("`after` is no key of this collection: {error}"))
        })?;
        let view = call.node().externals.view::<R>()?;
        let options = ReadOptions::parse(&call.parts().headers)?;
        view.satisfies(&options, call.deadline()).await?;
        let age = view.age();
        let (items, next) = page(&view, &selection, after);
        let items: Vec<&R> = items.iter().map(|item| &**item).collect();
        let body = serde_json::to_vec(&Answer { items, next }).map_err(Problem::internal)?;
        let mut response = json(body);
        say_age(age, response.headers_mut());
        Ok(response)
    })
}

/// The values of a page, and the key behind which more may be.
fn page<R: ExternalState>(
    view: &View<R>,
    selection: &Selection,
    after: Option<R::Key>,
) -> (Vec<Arc<R>>, Option<String>) {
    let begins = format!("{}{}", selection.within, selection.prefix);
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let (mut items, mut last) = (Vec::new(), None);
    for (at, (key, value)) in view.range((from, Bound::Unbounded)).enumerate() {
        // One that is full, or has looked for long, goes on behind the last key that it has seen.
        if items.len() == selection.limit || at == LOOKED_AT_MAX {
            return (items, last);
        }
        let text = key_text::<Folded<R>>(&key);
        if text.starts_with(&begins) {
            items.push(value);
        }
        last = Some(text);
    }
    (items, None)
}

fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Says how old what is shown may be.
fn say_age(age: Option<Duration>, headers: &mut HeaderMap) {
    if let Some(age) = age {
        let ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        headers.insert(position::STALENESS, HeaderValue::from(ms));
    }
}
