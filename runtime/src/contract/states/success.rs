//! The success of an operation as the document declares it: status, body, headers.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    decision::OperationDecision,
    instance::instance,
    page::Paging,
    projection::{Direction, Projection, Projections, is_same},
    schema::{Schema, put},
};
use crate::{
    contract::{accept::preferred, body::essence},
    problem::Problem,
};

/// One success response.
#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) status: StatusCode,
    /// Whether the document declares the header `Location`, or 201.
    pub(crate) has_location: bool,
    body: Option<SuccessBody>,
}

/// The media type of one reply, if it has a body.
#[derive(Clone, Debug)]
pub(crate) struct MediaType(Option<HeaderValue>);

#[derive(Debug)]
struct SuccessBody {
    /// The media types under which it is sent, the usual one first.
    media_types: Vec<String>,
    /// Where the entity is, or the list of entities.
    reply: Option<String>,
    /// The smallest body with the entity left out.
    envelope: Value,
    /// What of an entity is never shown.
    hidden: Arc<Projection>,
    /// What of it is shown here, if that is something else.
    shown: Option<Arc<Projection>>,
}

impl Success {
    /// The success with this status. `reply` says where its body has the entity, or
    /// the list of entities if it is a `list`.
    pub(crate) fn new(
        document: &Value,
        operation: &Value,
        status: StatusCode,
        reply: Option<&str>,
        entity: Schema<'_>,
        list: Option<&Paging>,
        projections: &mut Projections,
    ) -> Self {
        let response = declared(document, operation, status, reply.is_some());
        let header = |name: &str| {
            response
                .and_then(|response| response.get("headers")?.as_object())
                .is_some_and(|headers| headers.keys().any(|known| known.eq_ignore_ascii_case(name)))
        };
        let body = response
            .and_then(|response| response.get("content")?.as_object())
            .filter(|_| status != StatusCode::NO_CONTENT)
            .and_then(|content| {
                let content = json_of(content);
                let (_, first) = content.first()?;
                let schema = first.get("schema").unwrap_or(&Value::Bool(true));
                let schema = Schema::new(document, schema);
                // The same value by other names.
                let same = content.iter().filter(|(_, other)| {
                    let other = other.get("schema").unwrap_or(&Value::Bool(true));
                    is_same(schema, Schema::new(document, other))
                });
                Some(SuccessBody::new(
                    same.map(|(name, _)| name.clone()).collect(),
                    schema,
                    reply,
                    entity,
                    list,
                    projections,
                ))
            });
        Self {
            status,
            has_location: status == StatusCode::CREATED || header("location"),
            body,
        }
    }

    /// The media type of the reply to a client.
    ///
    /// # Errors
    /// 406 if it accepts none of those that there are.
    pub(crate) fn media_type(&self, headers: &HeaderMap) -> Result<MediaType, Problem> {
        let Some(body) = &self.body else {
            return Ok(MediaType(None));
        };
        let offered: Vec<&str> = body.media_types.iter().map(String::as_str).collect();
        let chosen = preferred(headers, &offered).ok_or_else(|| {
            let offered = offered.join(" or ");
            Problem::not_acceptable(format!("this operation answers with {offered}"))
        })?;
        Ok(MediaType(HeaderValue::from_str(chosen).ok()))
    }

    /// The reply with an entity in it.
    pub(crate) fn entity<T: Serialize>(&self, media_type: &MediaType, value: &T) -> Response {
        let Some(body) = &self.body else {
            return self.status.into_response();
        };
        let bytes = match body.reply.as_deref() {
            None => serde_json::to_vec(&body.envelope),
            // Nothing to take away and nothing around it: straight to bytes.
            Some("") if body.shown.is_none() && body.hidden.is_identity() => {
                serde_json::to_vec(value)
            }
            Some(at) => serde_json::to_value(value).and_then(|mut value| {
                body.show(&mut value);
                serde_json::to_vec(&body.around(at, value))
            }),
        };
        self.respond(media_type, bytes)
    }

    /// The reply with entities in it, and what `more` puts beside them.
    pub(crate) fn list(
        &self,
        media_type: &MediaType,
        mut entities: Vec<Value>,
        more: impl FnOnce(&mut Value),
    ) -> Response {
        let Some(body) = &self.body else {
            return self.status.into_response();
        };
        for entity in &mut entities {
            body.show(entity);
        }
        let mut whole = match body.reply.as_deref() {
            None => body.envelope.clone(),
            Some(at) => body.around(at, Value::Array(entities)),
        };
        more(&mut whole);
        self.respond(media_type, serde_json::to_vec(&whole))
    }

    fn respond(&self, media_type: &MediaType, bytes: serde_json::Result<Vec<u8>>) -> Response {
        let Ok(bytes) = bytes else {
            return Problem::internal("a reply does not serialize").into_response();
        };
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = self.status;
        if let Some(media_type) = &media_type.0 {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, media_type.clone());
        }
        response
    }
}

impl SuccessBody {
    fn new(
        media_types: Vec<String>,
        schema: Schema<'_>,
        reply: Option<&str>,
        entity: Schema<'_>,
        list: Option<&Paging>,
        projections: &mut Projections,
    ) -> Self {
        let shown = reply.and_then(|at| schema.at(at)).and_then(|place| {
            if list.is_some() {
                place.items()
            } else {
                Some(place)
            }
        });
        let shown = shown
            .filter(|shown| !is_same(*shown, entity))
            .map(|shown| projections.get(shown, Direction::OtherReply));
        let mut envelope = instance(schema).unwrap_or(Value::Null);
        let beside = list.into_iter().flat_map(Paging::places);
        let places: Vec<&str> = reply
            .into_iter()
            .chain(beside)
            .filter(|at| !at.is_empty())
            .collect();
        for at in &places {
            put(&mut envelope, at, Value::Null);
        }
        if !places.is_empty() {
            // The objects on the way have required parts of their own.
            Projection::new(schema, Direction::Stored).apply(&mut envelope);
        }
        Self {
            media_types,
            reply: reply.map(str::to_owned),
            envelope,
            hidden: projections.get(entity, Direction::Reply),
            shown,
        }
    }

    fn show(&self, entity: &mut Value) {
        self.hidden.apply(entity);
        if let Some(shown) = &self.shown {
            shown.apply(entity);
        }
    }

    fn around(&self, at: &str, value: Value) -> Value {
        if at.is_empty() {
            return value;
        }
        let mut whole = self.envelope.clone();
        put(&mut whole, at, value);
        whole
    }
}

/// The response of this status, with its reference followed.
fn declared<'d>(
    document: &'d Value,
    operation: &'d Value,
    status: StatusCode,
    shows_entity: bool,
) -> Option<&'d Value> {
    let responses = operation.get("responses")?;
    let class = format!("{}XX", status.as_u16() / 100);
    // Without an entity to show, `default` is more likely what an error looks like.
    let default = shows_entity.then_some("default");
    let response = [status.as_str(), &class]
        .into_iter()
        .chain(default)
        .find_map(|name| responses.get(name))?;
    match response.get("$ref").and_then(Value::as_str) {
        Some(reference) => Some(Schema::by_reference(document, reference)?.value),
        None => Some(response),
    }
}

/// The schema of the JSON body of an operation's success.
pub(crate) fn declared_body<'d>(
    document: &'d Value,
    operation: &'d Value,
    decision: &OperationDecision,
) -> Option<Schema<'d>> {
    let status = StatusCode::from_u16(decision.status.unwrap_or(200)).ok()?;
    let content = declared(document, operation, status, true)?.get("content")?;
    let content = json_of(content.as_object()?);
    Some(Schema::new(document, content.first()?.1.get("schema")?))
}

/// Whether the document declares this very status.
pub(crate) fn declares(operation: &Value, status: StatusCode) -> bool {
    operation
        .get("responses")
        .is_some_and(|responses| responses.get(status.as_str()).is_some())
}

/// The media types that are JSON, `application/json` before others.
fn json_of(content: &serde_json::Map<String, Value>) -> Vec<(String, &Value)> {
    let rank = |name: &str| match essence(name).as_str() {
        "application/json" => Some(0),
        other if other.ends_with("+json") => Some(1),
        "application/*" | "*/*" => Some(2),
        _ => None,
    };
    let mut found: Vec<_> = content
        .iter()
        .filter_map(|(name, content)| Some((rank(name)?, name, content)))
        .collect();
    // The sort is stable: among equals, the order of the document.
    found.sort_by_key(|(rank, ..)| *rank);
    let named = found.into_iter().map(|(rank, name, content)| {
        let name = if rank == 2 { "application/json" } else { name };
        (name.to_owned(), content)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    async fn check(response: Value, reply: Option<&str>, is_list: bool, expected: &str) {
        let document = json!({
            "Pet": {"properties": {"name": {"type": "string"}, "secret": {"type": "string", "writeOnly": true}}},
            "Gone": {"description": "", "content": {"application/json": {"schema": {"properties": {"ok": {"const": true}}, "required": ["ok"]}}}},
        });
        let operation = json!({"responses": {"200": response}});
        let entity = Schema::by_reference(&document, "#/Pet").unwrap();
        let success = Success::new(
            &document,
            &operation,
            StatusCode::OK,
            reply,
            entity,
            is_list.then(Paging::default).as_ref(),
            &mut Projections::default(),
        );
        let pet = json!({"name": "a", "secret": "s"});
        let media_type = success.media_type(&HeaderMap::new()).unwrap();
        let response = if is_list {
            success.list(&media_type, vec![pet], |whole| {
                if whole.is_object() {
                    put(whole, "/total", json!(1));
                }
            })
        } else {
            success.entity(&media_type, &pet)
        };
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(format!("{media_type} {text}"), expected, "{operation}");
    }

    #[tokio::test]
    async fn bodies_are_those_of_the_document() {
        let json = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
        let pet = json!({"$ref": "#/Pet"});
        let envelope = json!({"type": "object", "required": ["data", "kind"], "properties": {
            "kind": {"enum": ["pet"]},
            "data": {"type": "object", "required": ["pet", "n"], "properties": {"pet": pet, "n": {"type": "integer"}}},
        }});
        check(
            json(pet.clone()),
            Some(""),
            false,
            r#"application/json {"name":"a"}"#,
        )
        .await;
        check(
            json(envelope),
            Some("/data/pet"),
            false,
            r#"application/json {"data":{"n":0,"pet":{"name":"a"}},"kind":"pet"}"#,
        )
        .await;
        check(
            json(json!({"properties": {"secret": {}}})),
            Some(""),
            false,
            "application/json {}",
        )
        .await;
        check(
            json!({"$ref": "#/Gone"}),
            None,
            false,
            r#"application/json {"ok":true}"#,
        )
        .await;
        check(json!({"description": "nothing"}), Some(""), false, " ").await;
        check(json!({"content": {"text/plain": {}}}), Some(""), false, " ").await;
        check(
            json!({"content": {"text/csv": {}, "application/hal+json": {"schema": {"items": pet}}}}),
            Some(""), true, r#"application/hal+json [{"name":"a"}]"#,
        ).await;
        check(
            json(json!({"properties": {"items": {"items": pet}}, "required": ["items", "page"]})),
            Some("/items"),
            true,
            r#"application/json {"items":[{"name":"a"}],"page":null,"total":1}"#,
        )
        .await;
    }
}
