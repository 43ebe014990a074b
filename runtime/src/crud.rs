//! The operations that need no code: `crud(get, list, post, put, patch, delete)`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{
    call::{Call, CallFuture, missing},
    feed,
    key::{key_text, key_values, parse_key},
    keyed_body,
    problem::Problem,
    state::State,
    the_entity::TheEntity,
};

/// `GET` of one entity.
pub(crate) fn get<S: State>(call: Call) -> CallFuture {
    Box::pin(async move {
        if let Some(form) = feed::Form::of::<S>(call.parts()) {
            return feed::of_key::<S>(call, form).await;
        }
        call.enter::<S>()
            .await?
            .read(|_, state| represent(state))
            .await
    })
}

/// `PUT` of one entity: 201 created, 200 replaced.
pub(crate) fn put<S: State>(call: Call) -> CallFuture {
    Box::pin(async move {
        let mut keyed = call.enter::<S>().await?;
        let key = keyed.key().clone();
        let parse = |body: &[u8]| keyed_body::read::<S>(body, &key);
        let state = keyed.call().read_json_by(None, parse).await?;
        keyed
            .command(move |entry| {
                let status = if entry.get().is_some() {
                    StatusCode::OK
                } else {
                    StatusCode::CREATED
                };
                entry.insert(state);
                TheEntity::reply(status)
            })
            .await
    })
}

/// `PATCH` of one entity: JSON merge patch (RFC 7396).
pub(crate) fn patch<S: State>(call: Call) -> CallFuture {
    Box::pin(async move {
        let mut keyed = call.enter::<S>().await?;
        let patch: Value = keyed
            .call()
            .read_json(Some("application/merge-patch+json"))
            .await?;
        if !patch.is_object() {
            return Err(Problem::invalid("a merge patch of an entity is a JSON object").into());
        }
        keyed
            .command(move |entry| {
                let Some(state) = entry.get() else {
                    return missing::<S>(entry.key()).into_response();
                };
                let patched = serde_json::to_value(state).map_err(Problem::internal);
                let patched = patched.and_then(|mut value| {
                    json_patch::merge(&mut value, &patch);
                    with_key::<S>(value, entry.key())
                });
                match patched {
                    Ok(state) => {
                        entry.insert(state);
                        TheEntity::reply(StatusCode::OK)
                    }
                    Err(problem) => problem.into_response(),
                }
            })
            .await
    })
}

/// `DELETE` of one entity: 204, or 404.
pub(crate) fn delete<S: State>(call: Call) -> CallFuture {
    Box::pin(async move {
        call.enter::<S>()
            .await?
            .command(|entry| match entry.remove() {
                Some(_) => StatusCode::NO_CONTENT.into_response(),
                None => missing::<S>(entry.key()).into_response(),
            })
            .await
    })
}

/// `POST` to the collection: a new entity with the key in the body; 201 with its `Location`, or 409.
pub(crate) fn post<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let state: S = call.read_json(None).await?;
        let key = state.key();
        check_new_key::<S>(&call, &key)?;
        // The key in the body decides where the request belongs, so it gets the path that has the key.
        let location = item_path::<S>(&key);
        let keyed = call.enter_at::<S>(key).await?;
        keyed
            .command(move |entry| {
                if entry.get().is_some() {
                    let detail = format!(
                        "there is a {} `{}` already",
                        S::DEFINITION.name,
                        key_text::<S>(entry.key())
                    );
                    return Problem::conflict(detail).into_response();
                }
                entry.insert(state);
                let mut response = TheEntity::reply(StatusCode::CREATED);
                if let Ok(location) = HeaderValue::from_str(&location) {
                    response.headers_mut().insert(header::LOCATION, location);
                }
                response
            })
            .await
    })
}

/// Checks a key that came in a body: the path would not have let it through.
fn check_new_key<S: State>(call: &Call, key: &S::Key) -> Result<(), Problem> {
    let text = key_text::<S>(key);
    let bytes_max = call.node().config.limits.key_bytes_max;
    if text.len() > bytes_max {
        return Err(Problem::invalid(format!(
            "the key in the body has {} bytes; a key has at most {bytes_max}",
            text.len()
        )));
    }
    parse_key::<S>(&text)
        .map_err(|error| Problem::invalid(format!("the key in the body: {error}")))?;
    // A nested collection names a part of the key in its path as well.
    let parts: Vec<&str> = text.split('/').collect();
    for (field, part) in S::DEFINITION.key_fields.iter().zip(parts) {
        if call.template().names().any(|name| name == *field) {
            let given = call.template().value(call.parts().uri.path(), field)?;
            if given != percent_encoding::percent_decode_str(part).decode_utf8_lossy() {
                return Err(Problem::invalid(format!(
                    "`{field}` in the body is not the one in the path"
                ))
                .with_error(format!("/{field}"), "is another key"));
            }
        }
    }
    Ok(())
}

/// The path of an entity.
pub(crate) fn item_path<S: State>(key: &S::Key) -> String {
    let text = key_text::<S>(key);
    let parts: Vec<&str> = match S::DEFINITION.key_fields {
        [_] => vec![text.as_str()],
        _ => text.split('/').collect(),
    };
    let mut path = S::DEFINITION.item.to_owned();
    for (field, part) in S::DEFINITION.key_fields.iter().zip(parts) {
        let part = match S::DEFINITION.key_fields {
            [_] => part.to_owned(),
            _ => percent_encoding::percent_decode_str(part)
                .decode_utf8_lossy()
                .into_owned(),
        };
        let encoded = percent_encoding::utf8_percent_encode(&part, SEGMENT);
        path = path.replacen(&format!("{{{field}}}"), &encoded.to_string(), 1);
    }
    path
}

/// What has to be encoded in a path segment.
pub(crate) const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn represent<S: State>(state: &S) -> Response {
    Json(state).into_response()
}

/// The entity of a body in which the key may be left out. A different key is refused.
fn with_key<S: State>(body: Value, key: &S::Key) -> Result<S, Problem> {
    let Value::Object(mut fields) = body else {
        return Err(Problem::invalid(format!(
            "the body is a JSON object, the {} without its key",
            S::DEFINITION.name
        )));
    };
    for (name, value) in S::DEFINITION.key_names.iter().zip(key_values::<S>(key)) {
        match fields.get(*name) {
            Some(given) if *given != value => {
                let detail = format!("`{name}` in the body is {given}, in the path {value}");
                return Err(
                    Problem::invalid(detail).with_error(format!("/{name}"), "is another key")
                );
            }
            _ => drop(fields.insert((*name).to_owned(), value)),
        }
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Problem::invalid(format!("the body: {error}")))
}
