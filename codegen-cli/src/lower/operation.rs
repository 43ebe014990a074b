//! One operation: its parameters, what it takes and what it answers.

use std::collections::{BTreeMap, HashSet, btree_map::Entry};

use indexmap::IndexSet;
use openapiv3::StatusCode;

use super::{
    place::Place,
    types::{Types, component_words},
};
use crate::{
    model::{
        Body, Content, Decision, Header, Operation, Parameter, Payload, Place as Where, Response,
        Status, TypeRef,
    },
    spec::{Member, Node, Object, UNSUPPORTED, Value},
};

/// Reads an operation. One that can't be done says why.
pub(super) fn lower<'a>(
    types: &mut Types<'a, '_>,
    item: &Place<'a>,
    path: &str,
    method: &str,
) -> Operation {
    let place = item.at(method);
    let text = |name: &str| place.node.member(name).and_then(Node::as_str);
    let id = text("operationId").unwrap_or_default().to_owned();
    let words = if id.is_empty() {
        made_id(method, path)
    } else {
        id.clone()
    };
    let tag = place
        .at("tags")
        .items()
        .find_map(|tag| tag.node.as_str())
        .map_or_else(|| made_tag(path), str::to_owned);
    let flag =
        |name: &str| place.node.member(name).map(|node| &node.value) == Some(&Value::Bool(true));
    let mut operation = Operation {
        id,
        method: method.to_owned(),
        path: path.to_owned(),
        tag,
        summary: text("summary").unwrap_or_default().to_owned(),
        description: text("description").unwrap_or_default().to_owned(),
        deprecated: flag("deprecated"),
        span: place.node.span,
        pointer: place.pointer.clone(),
        parameters: Vec::new(),
        body: None,
        responses: Vec::new(),
        security: security(types, &place),
        decision: Decision::Handler,
        reason: String::new(),
    };
    if method == "trace" {
        return unsupported(
            operation,
            "TRACE would echo secrets of its sender; no server of this kind answers it".to_owned(),
        );
    }
    if let Some(callbacks) = place.member("callbacks") {
        types.diagnostics.warning(
            callbacks.node.span,
            format!("#{}", callbacks.pointer),
            "callbacks are described and not made: a service answers requests, and a function of yours may send some",
        );
    }
    // Something of it was left out, and that was said. The rest is read all the same, for what is wrong with it.
    let broken = text(UNSUPPORTED).map(str::to_owned);
    if let Some(servers) = place.member("servers").or_else(|| item.member("servers")) {
        types.diagnostics.warning(
            servers.node.span,
            format!("#{}", servers.pointer),
            "servers of its own mean nothing here: the service answers it at its own address, like all others",
        );
    }
    let mut unread = Vec::new();
    operation.parameters = parameters(
        types,
        item,
        &place,
        path,
        &words,
        broken.is_none(),
        &mut unread,
    );
    match body(types, &place, &words) {
        Ok(body) => operation.body = body,
        Err(wrong) => unread.push(wrong),
    }
    operation.responses = responses(types, &place, &words, &mut unread);
    for Unread { place, why } in &unread {
        types.diagnostics.warning(
            place.node.span,
            format!("#{}", place.pointer),
            format!("{why}; the operation `{words}` answers 501"),
        );
    }
    match broken.or_else(|| Some(unread.into_iter().next()?.why)) {
        None => operation,
        Some(why) => unsupported(operation, why),
    }
}

/// Nothing of it is read then: what is left might be wrong.
fn unsupported(operation: Operation, reason: String) -> Operation {
    Operation {
        parameters: Vec::new(),
        body: None,
        responses: Vec::new(),
        decision: Decision::Unsupported,
        reason,
        ..operation
    }
}

/// A part of an operation that can't be read.
struct Unread<'a> {
    place: Place<'a>,
    why: String,
}

/// Reads a piece as `openapiv3` has it, without the schemas inside.
fn read<'a, T: serde::de::DeserializeOwned>(place: &Place<'a>) -> Result<T, Unread<'a>> {
    shallow(place.node).deserialize().map_err(|error| Unread {
        place: place.clone(),
        why: error.to_string(),
    })
}

/// The same with nothing in its schemas, and without examples.
fn shallow(node: &Node) -> Node {
    let Some(object) = node.as_object() else {
        return node.clone();
    };
    let mut result = Object::with_capacity(object.len());
    for (name, member) in object {
        let inner = match name.as_str() {
            "example" | "examples" | "links" | "encoding" | "callbacks" => continue,
            name if name.starts_with("x-") => continue,
            "schema" | "headers" => Node::new(Value::Object(Object::new()), member.node.span),
            "content" | "responses" => map(&member.node),
            _ if matches!(member.node.value, Value::Object(_)) => shallow(&member.node),
            _ => member.node.clone(),
        };
        let name_at = member.name;
        result.insert(
            name.clone(),
            Member {
                name: name_at,
                node: inner,
            },
        );
    }
    Node::new(Value::Object(result), node.span)
}

fn map(node: &Node) -> Node {
    let Some(object) = node.as_object() else {
        return node.clone();
    };
    let members = object.iter().map(|(name, member)| {
        let inner = Member {
            name: member.name,
            node: shallow(&member.node),
        };
        (name.clone(), inner)
    });
    Node::new(Value::Object(members.collect()), node.span)
}

/// The referred place, or why there is none.
fn resolve<'a>(types: &Types<'a, '_>, place: &Place<'a>) -> Result<Place<'a>, Unread<'a>> {
    types.resolve(place).ok_or_else(|| Unread {
        place: place.clone(),
        why: "this reference leads nowhere".to_owned(),
    })
}

fn parameter<'a>(
    types: &Types<'a, '_>,
    place: &Place<'a>,
) -> Result<(Place<'a>, openapiv3::Parameter), Unread<'a>> {
    let place = resolve(types, place)?;
    check_place(&place)?;
    let parameter = read(&place)?;
    Ok((place, parameter))
}

/// All parameters that can be read; those that can't be are added to `unread`. `whole`: none was left out.
fn parameters<'a>(
    types: &mut Types<'a, '_>,
    item: &Place<'a>,
    operation: &Place<'a>,
    path: &str,
    words: &str,
    whole: bool,
    unread: &mut Vec<Unread<'a>>,
) -> Vec<Parameter> {
    // Those of the operation take the place of the path's with the same name.
    let mut all: BTreeMap<(Where, String), (usize, Parameter)> = BTreeMap::new();
    let places = item
        .at("parameters")
        .items()
        .chain(operation.at("parameters").items());
    let template = template_names(path);
    for (index, place) in places.enumerate() {
        let (place, read) = match parameter(types, &place) {
            Ok(found) => found,
            Err(wrong) => {
                unread.push(wrong);
                continue;
            }
        };
        let place_in = match &read {
            openapiv3::Parameter::Path { .. } => Where::Path,
            openapiv3::Parameter::Query { .. } => Where::Query,
            openapiv3::Parameter::Header { .. } => Where::Header,
            openapiv3::Parameter::Cookie { .. } => Where::Cookie,
        };
        let data = read.parameter_data();
        // These are the server's own: OpenAPI says that a parameter of such a name means nothing.
        let own = ["accept", "content-type", "authorization"];
        if place_in == Where::Header && own.contains(&data.name.to_ascii_lowercase().as_str()) {
            continue;
        }
        if place_in == Where::Path && !template.contains(&data.name) {
            types.diagnostics.warning(
                place.node.span,
                format!("#{}", place.pointer),
                format!(
                    "the path `{path}` has no `{{{}}}`; the parameter is left out",
                    data.name
                ),
            );
            continue;
        }
        let schema = place.member("schema").or_else(|| {
            let (_, media) = place.at("content").members().next()?;
            media.member("schema")
        });
        let ty = schema.map_or(TypeRef::Any, |schema| {
            types.of_parameter(&schema, words, &data.name)
        });
        let parameter = Parameter {
            field: String::new(),
            place: place_in,
            doc: data.description.unwrap_or_default(),
            ty,
            required: data.required || place_in == Where::Path,
            name: data.name,
        };
        let key = (place_in, parameter.name.clone());
        let index = all.get(&key).map_or(index, |(first, _)| *first);
        all.insert(key, (index, parameter));
    }
    for name in template {
        let key = (Where::Path, name.clone());
        let Entry::Vacant(free) = all.entry(key) else {
            continue;
        };
        // If some were left out, or could not be read, it may have been among them.
        if whole && unread.is_empty() {
            types.diagnostics.warning(
                operation.node.span,
                format!("#{}", operation.pointer),
                format!("`{{{name}}}` of the path `{path}` is not among the parameters; it is taken as a text"),
            );
        }
        let parameter = Parameter {
            field: String::new(),
            place: Where::Path,
            doc: String::new(),
            ty: TypeRef::String,
            required: true,
            name,
        };
        free.insert((usize::MAX, parameter));
    }
    // By place, then as they stand: so a name belongs to the path's parameter before the query's.
    let mut sorted: Vec<_> = all.into_iter().collect();
    sorted.sort_by_key(|((place, _), (index, _))| (*place, *index));
    let mut taken: HashSet<String> = HashSet::new();
    sorted
        .into_iter()
        .map(|(_, (_, mut parameter))| {
            parameter.field = if taken.contains(&parameter.name) {
                format!("{}:{}", place_name(parameter.place), parameter.name)
            } else {
                parameter.name.clone()
            };
            taken.insert(parameter.field.clone());
            parameter
        })
        .collect()
}

/// A parameter must say where it is.
fn check_place<'a>(parameter: &Place<'a>) -> Result<(), Unread<'a>> {
    let text = |name: &str| parameter.node.member(name).and_then(Node::as_str);
    let why = match text("in") {
        Some("query" | "header" | "path" | "cookie") => return Ok(()),
        Some("body" | "formData") => {
            "a parameter in the body is one of Swagger 2; since OpenAPI 3 there is `requestBody`"
                .to_owned()
        }
        Some(other) => {
            format!("a parameter is in `query`, `header`, `path` or `cookie`, and not in `{other}`")
        }
        None => "a parameter says by `in` whether it is in `query`, `header`, `path` or `cookie`; \
                 this one does not"
            .to_owned(),
    };
    Err(Unread {
        place: parameter.clone(),
        why,
    })
}

const fn place_name(place: Where) -> &'static str {
    match place {
        Where::Path => "path",
        Where::Query => "query",
        Where::Header => "header",
        Where::Cookie => "cookie",
    }
}

fn body<'a>(
    types: &mut Types<'a, '_>,
    operation: &Place<'a>,
    words: &str,
) -> Result<Option<Body>, Unread<'a>> {
    let Some(place) = operation.member("requestBody") else {
        return Ok(None);
    };
    let place = resolve(types, &place)?;
    let read: openapiv3::RequestBody = read(&place)?;
    let shared = component_words(&place, "requestBodies");
    let words = format!("{} body", shared.as_deref().unwrap_or(words));
    let contents = contents(types, &place, &words, false);
    Ok((!contents.is_empty()).then_some(Body {
        required: read.required,
        doc: read.description.unwrap_or_default(),
        contents,
    }))
}

/// The media types of a body or a response, those with the same payload side by side.
fn contents<'a>(
    types: &mut Types<'a, '_>,
    place: &Place<'a>,
    words: &str,
    reply: bool,
) -> Vec<Content> {
    let mut contents: Vec<Content> = Vec::new();
    for (media_type, media) in place.at("content").members() {
        let schema = media.member("schema");
        let ty = |types: &mut Types<'a, '_>| {
            schema
                .as_ref()
                .map_or(TypeRef::Any, |schema| types.of(schema, words))
        };
        let payload = match family(media_type) {
            Family::Json => match ty(types) {
                // Bytes that are said to be anything.
                TypeRef::File if media_type.contains('*') => Payload::Binary,
                ty => Payload::Value(ty),
            },
            Family::Form if !reply => Payload::Value(ty(types)),
            Family::Events if reply => Payload::Events(ty(types)),
            Family::Form | Family::Events | Family::Text => Payload::Text,
            Family::Binary => Payload::Binary,
        };
        let content = Content {
            media_type: media_type.to_owned(),
            payload,
        };
        let after = contents
            .iter()
            .rposition(|other| other.payload == content.payload);
        match after {
            Some(index) => contents.insert(index + 1, content),
            None => contents.push(content),
        }
    }
    contents
}

enum Family {
    Json,
    Form,
    Events,
    Text,
    Binary,
}

/// What a media type is read as.
fn family(media_type: &str) -> Family {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "*/*" | "application/*" | "text/json" => Family::Json,
        "application/x-www-form-urlencoded" => Family::Form,
        "text/event-stream" => Family::Events,
        "application/xml"
        | "application/yaml"
        | "application/x-yaml"
        | "application/graphql"
        | "application/javascript" => Family::Text,
        essence if essence.ends_with("+json") => Family::Json,
        essence if essence.starts_with("multipart/") => Family::Form,
        essence
            if essence.starts_with("text/")
                || essence.ends_with("+xml")
                || essence.ends_with("+yaml") =>
        {
            Family::Text
        }
        _ => Family::Binary,
    }
}

/// All responses that can be read; what can't be is added to `unread`.
fn responses<'a>(
    types: &mut Types<'a, '_>,
    operation: &Place<'a>,
    words: &str,
    unread: &mut Vec<Unread<'a>>,
) -> Vec<Response> {
    let mut responses = Vec::new();
    for (status, place) in operation.at("responses").members() {
        if status.starts_with("x-") {
            continue;
        }
        let status = if status == "default" {
            Status::Default
        } else {
            let text = Node::text(status, place.node.span);
            match text.deserialize::<StatusCode>() {
                Ok(StatusCode::Code(code)) if (200..600).contains(&code) => Status::Code(code),
                Ok(StatusCode::Range(class)) if (2..6).contains(&class) => {
                    Status::Class(u8::try_from(class).unwrap_or(5))
                }
                _ => {
                    types.diagnostics.warning(
                        place.node.span,
                        format!("#{}", place.pointer),
                        format!("`{status}` is no status that a reply can have; it is left out"),
                    );
                    continue;
                }
            }
        };
        let place = match resolve(types, &place) {
            Ok(place) => place,
            Err(wrong) => {
                unread.push(wrong);
                continue;
            }
        };
        let doc = place.node.member("description").and_then(Node::as_str);
        let name = match status {
            Status::Code(200..300) => "reply".to_owned(),
            Status::Code(code) => format!("reply {code}"),
            Status::Class(class) => format!("reply {class}XX"),
            Status::Default => "default reply".to_owned(),
        };
        // What several operations answer is called by its own name.
        let words = match component_words(&place, "responses") {
            Some(shared) => format!("{shared} reply"),
            None => format!("{words} {name}"),
        };
        let headers = headers(types, &place, &words, unread);
        let bodiless = matches!(status, Status::Code(204 | 205 | 304));
        responses.push(Response {
            status,
            doc: doc.unwrap_or_default().to_owned(),
            contents: if bodiless {
                Vec::new()
            } else {
                contents(types, &place, &words, true)
            },
            headers,
        });
    }
    responses
}

/// The headers of a response.
fn headers<'a>(
    types: &mut Types<'a, '_>,
    response: &Place<'a>,
    words: &str,
    unread: &mut Vec<Unread<'a>>,
) -> Vec<Header> {
    let mut headers = Vec::new();
    for (name, place) in response.at("headers").members() {
        let found = resolve(types, &place).and_then(|place| {
            let header: openapiv3::Header = read(&place)?;
            Ok((place, header))
        });
        let (place, read) = match found {
            Ok(found) => found,
            Err(wrong) => {
                unread.push(wrong);
                continue;
            }
        };
        if name.eq_ignore_ascii_case("content-type") {
            continue;
        }
        let words = component_words(&place, "headers").unwrap_or_else(|| format!("{words} {name}"));
        let ty = place
            .member("schema")
            .map_or(TypeRef::String, |schema| types.of(&schema, &words));
        headers.push(Header {
            name: name.to_owned(),
            doc: read.description.unwrap_or_default(),
            ty,
            required: read.required,
        });
    }
    headers
}

/// The names of the schemes that an operation, or else the document, asks for.
fn security(types: &mut Types<'_, '_>, operation: &Place<'_>) -> Vec<String> {
    let own = operation.member("security");
    if let Some(own) = &own {
        super::tell_of_unknown_schemes(types, own);
    }
    let asked = own.or_else(|| Place::root(types.tree).member("security"));
    let mut names = IndexSet::new();
    for requirement in asked.iter().flat_map(Place::items) {
        names.extend(requirement.members().map(|(name, _)| name.to_owned()));
    }
    names.into_iter().collect()
}

/// The names between braces in a path template.
pub(super) fn template_names(path: &str) -> IndexSet<String> {
    let mut names = IndexSet::new();
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        names.insert(name.to_owned());
        rest = after;
    }
    names
}

/// A path template without the names of its parameters.
pub(super) fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut inside = false;
    for one in path.chars() {
        match one {
            '{' => inside = true,
            '}' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        shape.push(one);
    }
    shape
}

/// An id for an operation without one: `GET /pets/{petId}` is `getPetsByPetId`.
pub(super) fn made_id(method: &str, path: &str) -> String {
    let mut id = method.to_owned();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if segment.starts_with('{') {
            id.push_str("By");
        }
        let words = segment.split(|one: char| !one.is_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            let mut letters = word.chars();
            id.extend(letters.next().into_iter().flat_map(char::to_uppercase));
            id.push_str(letters.as_str());
        }
    }
    id
}

/// A tag for an operation without one: the first segment of its path that says something.
fn made_tag(path: &str) -> String {
    let dull = |segment: &str| {
        let version = segment.strip_prefix('v').is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|one| one.is_ascii_digit() || one == '.')
        });
        version || segment.is_empty() || segment == "api" || segment.starts_with('{')
    };
    path.split('/')
        .find(|segment| !dull(segment))
        .unwrap_or("api")
        .to_owned()
}
