//! `GET` of a collection: ordered pages over all partitions.

use axum::{
    body::Body,
    extract::{FromRequestParts, Query},
    http::{HeaderValue, header},
    response::Response,
};
use serde::{Deserialize, Serialize};

use crate::{
    call::{Call, CallFuture, Halt},
    feed,
    key::parse_key,
    node::Context,
    problem::Problem,
    select::{Selection, select},
    state::State,
};

/// The query of a list. An empty value counts as one that is left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// A page as clients see it.
#[derive(Serialize)]
pub(crate) struct Answer<T> {
    pub(crate) items: Vec<T>,
    /// The `after` of the next page.
    pub(crate) next: Option<String>,
}

/// `GET` of the collection.
pub(crate) fn list<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        if let Some(form) = feed::Form::of::<S>(call.parts()) {
            return feed::of_collection::<S>(call, form).await;
        }
        let selection = Selection {
            within: within::<S>(&call)?,
            ..read_page(&mut call).await?
        };
        if let Some(after) = &selection.after {
            parse_key::<S>(after).map_err(|error| {
                Problem::bad_request(format!("`after` is no key of this collection: {error}"))
            })?;
        }
        let selected = select::<S>(call.node(), &call.parts().headers, &selection).await?;
        let answer = Answer {
            items: selected.items.iter().map(|item| &item.entity).collect(),
            next: selected.next,
        };
        let body = serde_json::to_vec(&answer).map_err(Problem::internal)?;
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Ok(response)
    })
}

/// What the query of a list says.
pub(crate) async fn read_page(call: &mut Call) -> Result<Selection, Halt> {
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
    Ok(Selection {
        prefix: query.prefix.unwrap_or_default(),
        after: given(query.after),
        limit,
        ..Selection::default()
    })
}

/// The text that all keys of a nested collection begin with: `7/` for `/customers/7/orders`.
pub(crate) fn within<S: State>(call: &Call) -> Result<String, Problem> {
    let mut text = String::new();
    for field in S::DEFINITION.key_fields {
        if !call.template().names().any(|name| name == *field) {
            break;
        }
        let value = call.template().value(call.parts().uri.path(), field)?;
        crate::key::push_part(&mut text, &value);
        text.push('/');
    }
    Ok(text)
}
