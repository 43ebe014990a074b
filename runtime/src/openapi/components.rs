//! What all operations share: the headers of the conventions and the problem documents, each described once.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::{operation::Convention, problem};

/// The problems that have an entry of their own, and when they come.
pub(crate) const PROBLEMS: [(u16, &str); 13] = [
    (
        400,
        "The request can't be understood: its path, query, headers, or its body, which is not well-formed JSON.",
    ),
    (404, "There is no such thing."),
    (405, "The path exists, with the methods that `Allow` names."),
    (406, "No form of the answer is one that `Accept` allows."),
    (408, "The request did not arrive in time."),
    (
        409,
        "The request is right, but the state is not so that it could be done.",
    ),
    (412, "`If-Match` or `If-None-Match` does not hold."),
    (413, "The body is longer than the limit."),
    (415, "The body is of another media type."),
    (
        422,
        "The body is well formed but not valid; or its `Idempotency-Key` came before with another body.",
    ),
    (429, "Too many requests."),
    (503, "Not now. `Retry-After` says when to try again."),
    (507, "There is no room for this write. Reads go on."),
];

/// `components` without the schemas.
pub(super) fn components(schemas: &mut SchemaGenerator) -> Value {
    // The document of a problem goes through the generator, so that a struct of the user may have the same name.
    let problem = schemas.subschema_for::<problem::Document>().to_value();
    json!({
        "parameters": parameters(),
        "headers": headers(),
        "responses": responses(&problem),
    })
}

/// The content of a problem whose status has no entry of its own.
pub(crate) fn problem_content() -> Value {
    json!({ problem::MEDIA_TYPE: { "schema": { "type": "object" } } })
}

fn responses(problem: &Value) -> Value {
    let content = json!({ problem::MEDIA_TYPE: { "schema": problem } });
    let mut responses = Map::new();
    responses.insert(
        "Problem".to_owned(),
        json!({ "description": "A problem document, RFC 9457.", "content": content }),
    );
    for (status, description) in PROBLEMS {
        let mut response = json!({ "description": description, "content": content });
        if matches!(status, 429 | 503) {
            response["headers"] =
                json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } });
        }
        if status == 405 {
            response["headers"] = json!({ "Allow": { "$ref": "#/components/headers/Allow" } });
        }
        responses.insert(format!("Problem{status}"), response);
    }
    responses.into()
}

fn headers() -> Value {
    let header =
        |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    let text = || json!({ "type": "string" });
    json!({
        "ETag": header("Names this state of the entity; it changes with each change.", text()),
        "Location": header("The path of the thing that the answer speaks of.", text()),
        "MemgenPosition": header(
            "The place in the log at which the change, or what was read, is. As `Memgen-Min-Position` of a later read it makes sure \
             that the read shows it.",
            text(),
        ),
        "PreferenceApplied": header("The preference that was followed, as `Prefer` asked.", text()),
        "RetryAfter": header("Seconds to wait before the next try.", json!({ "type": "integer", "minimum": 0 })),
        "Allow": header("The methods that the path has.", text()),
    })
}

fn parameters() -> Value {
    let mut parameters = Map::new();
    for convention in [
        Convention::IfMatch,
        Convention::IfNoneMatch,
        Convention::IdempotencyKey,
        Convention::Prefer,
        Convention::MinPosition,
        Convention::MaxStaleness,
        Convention::Read,
    ] {
        let (name, description, schema) = described(convention);
        let parameter = json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": schema,
        });
        parameters.insert(convention.component().to_owned(), parameter);
    }
    for (component, name, place, description, schema) in [
        (
            "LastEventId",
            "Last-Event-ID",
            "header",
            "Of a feed: go on behind the event with this id.",
            json!({ "type": "string" }),
        ),
        (
            "LastEventIdQuery",
            "last_event_id",
            "query",
            "The same as `Last-Event-ID`, for a WebSocket in a browser, which has no headers.",
            json!({ "type": "string" }),
        ),
        (
            "ListLimit",
            "limit",
            "query",
            "How many items at most.",
            json!({ "type": "integer", "minimum": 1 }),
        ),
        (
            "ListAfter",
            "after",
            "query",
            "Go on behind this place: the `next` of the page before.",
            json!({ "type": "string" }),
        ),
        (
            "ListPrefix",
            "prefix",
            "query",
            "Only keys that begin with this text.",
            json!({ "type": "string" }),
        ),
    ] {
        let parameter = json!({
            "name": name, "in": place, "required": false, "description": description, "schema": schema,
        });
        parameters.insert(component.to_owned(), parameter);
    }
    parameters.into()
}

fn described(convention: Convention) -> (&'static str, &'static str, Value) {
    let text = json!({ "type": "string" });
    match convention {
        Convention::IfMatch => (
            "If-Match",
            "Do it only if the entity still has one of these ETags, or exists at all with `*`; 412 otherwise.",
            text,
        ),
        Convention::IfNoneMatch => (
            "If-None-Match",
            "Do it only if the entity has none of these ETags, or does not exist with `*`; 304 for a read and 412 for a write \
             otherwise.",
            text,
        ),
        Convention::IdempotencyKey => (
            "Idempotency-Key",
            "A name for this request, such as a random UUID. The same key with the same request gets the first answer again and \
             changes nothing; with another request, 422.",
            json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        ),
        Convention::Prefer => (
            "Prefer",
            "`return=minimal`: the answer needs no body.",
            json!({ "type": "string", "examples": ["return=minimal"] }),
        ),
        Convention::MinPosition => (
            "Memgen-Min-Position",
            "Answer only once this place in the log is seen: a `Memgen-Position` of an earlier answer.",
            text,
        ),
        Convention::MaxStaleness => (
            "Memgen-Max-Staleness-Ms",
            "How old, in milliseconds, the answer of a replica may be.",
            json!({ "type": "integer", "minimum": 0 }),
        ),
        Convention::Read => (
            "Memgen-Read",
            "Who may answer: the owner, a replica, or the owner after it made sure that it still is the owner.",
            json!({ "type": "string", "enum": ["owner", "replica", "strict"], "default": "owner" }),
        ),
    }
}
