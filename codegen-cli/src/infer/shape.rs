//! What a schema holds, and where an entity is in a request or a reply.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    model::{Operation, Payload, Response, Status},
    spec::{escape, unescape},
};

/// The schemas that one schema may consist of.
const PARTS_MAX: usize = 64;
/// The most properties of an envelope: the entity, and what describes it.
const ENVELOPE_MAX: usize = 2;
/// The references that are followed from one to the next.
const HOPS_MAX: usize = 32;

/// A schema of the document and its place: that of what it refers to.
#[derive(Clone, Debug)]
pub(super) struct Shape<'d> {
    document: &'d Value,
    value: &'d Value,
    /// Its JSON pointer, without `#`.
    pub(super) pointer: String,
}

/// Where an entity is within a body.
#[derive(Clone, Debug)]
pub(super) struct Found<'d> {
    /// `""` if it is the body, `/data` if it is in an envelope.
    pub(super) pointer: String,
    pub(super) shape: Shape<'d>,
}

/// A name as a JSON pointer.
pub(super) fn at(name: &str) -> String {
    format!("/{}", escape(name))
}

impl<'d> Shape<'d> {
    /// The schema at a pointer, or where it leads: references, and `allOf` of one.
    pub(super) fn at_pointer(document: &'d Value, pointer: &str) -> Option<Self> {
        Self::of(document, document.pointer(pointer)?, pointer.to_owned())
    }

    /// The same of a value that was found already.
    fn of(document: &'d Value, value: &'d Value, pointer: String) -> Option<Self> {
        let (mut value, mut pointer) = (value, pointer);
        for _ in 0..HOPS_MAX {
            let object = value.as_object()?;
            let reference =
                |value: &Value| Some(value.get("$ref")?.as_str()?.strip_prefix('#')?.to_owned());
            let said = [
                "properties",
                "items",
                "enum",
                "oneOf",
                "anyOf",
                "additionalProperties",
            ];
            let only = |all: &Vec<Value>| match all.as_slice() {
                [only] if !said.iter().any(|name| object.contains_key(*name)) => reference(only),
                _ => None,
            };
            let next = reference(value).or_else(|| object.get("allOf")?.as_array().and_then(only));
            match next {
                Some(next) => {
                    pointer = percent_encoding::percent_decode_str(&next)
                        .decode_utf8()
                        .ok()?
                        .into_owned();
                    value = document.pointer(&pointer)?;
                }
                None => {
                    return Some(Self {
                        document,
                        value,
                        pointer,
                    });
                }
            }
        }
        None
    }

    /// It, and what `allOf` adds.
    fn parts(&self) -> Vec<(&'d Value, String)> {
        let mut parts: Vec<(&Value, String)> = Vec::new();
        let mut open = vec![(self.value, self.pointer.clone())];
        while let Some((value, pointer)) = open.pop() {
            if parts.len() == PARTS_MAX
                || parts.iter().any(|(known, _)| std::ptr::eq(*known, value))
            {
                continue;
            }
            for (index, inner) in value
                .get("allOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .enumerate()
            {
                let place = format!("{pointer}/allOf/{index}");
                if let Some(part) = Self::of(self.document, inner, place) {
                    open.push((part.value, part.pointer));
                }
            }
            parts.push((value, pointer));
        }
        parts
    }

    pub(super) fn properties(&self) -> BTreeMap<String, Self> {
        let mut properties = BTreeMap::new();
        for (part, pointer) in self.parts() {
            for (name, inner) in part
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let place = format!("{pointer}/properties/{}", escape(name));
                if let Some(property) = Self::of(self.document, inner, place) {
                    // What stands beside a reference counts, too.
                    properties.entry(name.clone()).or_insert(property);
                }
            }
        }
        properties
    }

    /// Whether it is an object of which something is known.
    pub(super) fn has_properties(&self) -> bool {
        let known = |part: &Value| {
            let properties = part.get("properties").and_then(Value::as_object);
            properties.is_some_and(|properties| !properties.is_empty())
        };
        known(self.value) || self.parts().iter().any(|(part, _)| known(part))
    }

    /// Whether it may be an envelope: most entities have more properties.
    fn is_small(&self) -> bool {
        let parts = self.parts();
        let names = parts
            .iter()
            .filter_map(|(part, _)| part.get("properties")?.as_object());
        names.flat_map(Map::keys).collect::<BTreeSet<_>>().len() <= ENVELOPE_MAX
    }

    /// The schema at a pointer into the values.
    pub(super) fn at(&self, pointer: &str) -> Option<Self> {
        let mut shape = self.clone();
        for part in pointer.split('/').skip(1) {
            shape = shape.properties().remove(&*unescape(part))?;
        }
        Some(shape)
    }

    pub(super) fn required(&self) -> BTreeSet<String> {
        let parts = self.parts();
        let lists = parts
            .iter()
            .filter_map(|(part, _)| part.get("required")?.as_array());
        lists
            .flatten()
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<&'d str> {
        self.parts()
            .into_iter()
            .find_map(|(part, _)| part.get(name)?.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.parts()
            .iter()
            .any(|(part, _)| part.get(name) == Some(&Value::Bool(true)))
    }

    pub(super) fn types(&self) -> Vec<&'d str> {
        let parts = self.parts();
        let found = parts.iter().find_map(|(part, _)| part.get("type"));
        match found {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .filter(|it| *it != "null")
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn items(&self) -> Option<Self> {
        let parts = self.parts();
        parts.iter().find_map(|(part, pointer)| {
            let items = part.get("items").filter(|items| items.is_object())?;
            Self::of(self.document, items, format!("{pointer}/items"))
        })
    }

    /// Whether it is one value: a text, a number, true or false.
    pub(super) fn is_scalar(&self) -> bool {
        let types = self.types();
        !types.is_empty()
            && types
                .iter()
                .all(|name| matches!(*name, "string" | "integer" | "number" | "boolean"))
    }

    pub(super) fn is_list(&self) -> bool {
        self.types() == ["array"] || self.items().is_some()
    }

    /// What a value may be, where that is said; `null` aside.
    fn kinds(&self) -> Vec<&'d str> {
        let mut kinds = self.types();
        if kinds.is_empty() && !self.properties().is_empty() {
            kinds.push("object");
        }
        if kinds.is_empty() && self.items().is_some() {
            kinds.push("array");
        }
        // An integer is a number.
        if kinds.contains(&"number") {
            kinds.push("integer");
        }
        kinds
    }

    /// Whether no value of the one is a value of the other: a text and an object.
    pub(super) fn is_unlike(&self, other: &Shape<'_>) -> bool {
        let (own, other) = (self.kinds(), other.kinds());
        !own.is_empty() && !other.is_empty() && !own.iter().any(|kind| other.contains(kind))
    }

    /// Whether values of it are, or are part of, those of an entity.
    pub(super) fn is_like(&self, entity: &Shape<'_>) -> bool {
        if self.pointer == entity.pointer {
            return true;
        }
        let (own, other) = (self.properties(), entity.properties());
        let shared = own.keys().filter(|name| other.contains_key(*name)).count();
        shared > 0 && shared * 2 >= own.len()
    }

    /// Whether it shows an entity, or a part of it: what both have in common is of the same kind.
    pub(super) fn shows(&self, entity: &Shape<'_>) -> bool {
        let other = entity.properties();
        let unlike = |(name, property): (&String, &Self)| {
            other
                .get(name)
                .is_some_and(|other| property.is_unlike(other))
        };
        self.is_like(entity) && !self.properties().iter().any(unlike)
    }

    /// The schemas of which one applies (`oneOf`) or some do (`anyOf`), but for `null`.
    pub(super) fn alternatives(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for (part, pointer) in self.parts() {
            for keyword in ["oneOf", "anyOf"] {
                let count = part
                    .get(keyword)
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                all.extend((0..count).filter_map(|index| {
                    Self::at_pointer(self.document, &format!("{pointer}/{keyword}/{index}"))
                }));
            }
        }
        all.retain(|one| one.value.get("type") != Some(&Value::String("null".to_owned())));
        all
    }

    /// Whether it has at least half of what an entity has.
    pub(super) fn is_most_of(&self, entity: &Shape<'_>) -> bool {
        let (own, other) = (self.properties(), entity.properties());
        let shared = other.keys().filter(|name| own.contains_key(*name)).count();
        self.pointer == entity.pointer || shared * 2 >= other.len()
    }

    /// The schema itself, or the one property that is an object, if `is` says yes.
    fn or_in_envelope(self, is: impl Fn(&Shape<'d>) -> bool) -> Option<Found<'d>> {
        if !self.has_properties() {
            return None;
        }
        if !self.is_small() {
            return is(&self).then(|| Found {
                pointer: String::new(),
                shape: self,
            });
        }
        let properties = self.properties();
        let inner: Vec<(&String, &Shape<'d>)> = properties
            .iter()
            .filter(|(_, property)| property.has_properties())
            .collect();
        // `{"data": {…}}`: nothing else is in it but what describes it.
        if let [(name, inner)] = inner.as_slice()
            && matches!(
                name.as_str(),
                "data" | "result" | "item" | "response" | "entity" | "body" | "attributes"
            )
        {
            return is(inner).then(|| Found {
                pointer: at(name),
                shape: (*inner).clone(),
            });
        }
        is(&self).then(|| Found {
            pointer: String::new(),
            shape: self,
        })
    }
}

/// The place of an operation's part, with references followed.
pub(super) fn part(document: &Value, pointer: String) -> Option<(&Value, String)> {
    let mut pointer = pointer;
    for _ in 0..HOPS_MAX {
        let value = document.pointer(&pointer)?;
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => pointer = reference.strip_prefix('#')?.into(),
            None => return Some((value, pointer)),
        }
    }
    None
}

/// The schema of the first content that becomes a value.
fn content(document: &Value, pointer: String, patches: bool) -> Option<Shape<'_>> {
    let (value, pointer) = part(document, pointer)?;
    let all = value.get("content")?.as_object()?;
    let mut names: Vec<&String> = all.keys().filter(|name| is_value(name)).collect();
    // JSON before forms.
    names.sort_by_key(|name| !name.contains("json"));
    names.retain(|name| patches || !name.contains("patch"));
    let name = names.first()?;
    Shape::at_pointer(
        document,
        &format!("{pointer}/content/{}/schema", escape(name)),
    )
}

fn is_value(media_type: &str) -> bool {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.ends_with("json") || essence == "*/*" || essence == "application/x-www-form-urlencoded"
}

/// The success of an operation and what it holds.
fn success<'d, 'o>(
    document: &'d Value,
    operation: &'o Operation,
) -> Option<(&'o Response, Shape<'d>)> {
    let mut responses = successes(operation);
    // A document that says nothing of success may mean it by `default`; then it looks like one.
    if responses.is_empty() {
        let all = operation.responses.iter();
        responses.extend(all.filter(|it| it.status == Status::Default));
    }
    responses.into_iter().find_map(|response| {
        let place = format!(
            "{}/responses/{}",
            operation.pointer,
            status_text(response.status)
        );
        Some((response, content(document, place, true)?))
    })
}

/// Whether the success of an operation is one of several kinds: `customer`, or `deleted_customer`.
pub(super) fn has_kinds(document: &Value, operation: &Operation) -> bool {
    success(document, operation)
        .is_some_and(|(_, shape)| shape.properties().is_empty() && !shape.alternatives().is_empty())
}

/// The success of an operation and the entity in its body. Without an entity to look for: whatever object is there.
pub(super) fn reply<'d>(
    document: &'d Value,
    operation: &Operation,
    entity: Option<&Shape<'d>>,
) -> Option<(u16, Found<'d>)> {
    let (response, shape) = success(document, operation)?;
    let is = |shape: &Shape<'d>| match entity {
        Some(entity) => shape.shows(entity),
        None => !shape.is_list(),
    };
    let mut kinds = vec![shape.clone()];
    if shape.properties().is_empty() {
        kinds.extend(shape.alternatives());
        kinds.sort_by_key(|kind| entity.is_none_or(|entity| kind.pointer != entity.pointer));
    }
    let found = kinds.into_iter().find_map(|kind| kind.or_in_envelope(is))?;
    let code = match response.status {
        Status::Code(code) => code,
        Status::Class(_) | Status::Default => 200,
    };
    Some((code, found))
}

/// The successes; what a `POST` makes is best told by 201.
fn successes(operation: &Operation) -> Vec<&Response> {
    let mut successes: Vec<&Response> = operation
        .responses
        .iter()
        .filter(|response| matches!(response.status, Status::Code(200..300) | Status::Class(2)))
        .collect();
    if operation.method == "post" {
        successes.sort_by_key(|response| response.status != Status::Code(201));
    }
    successes
}

fn status_text(status: Status) -> String {
    match status {
        Status::Code(code) => code.to_string(),
        Status::Class(class) => format!("{class}XX"),
        Status::Default => "default".to_owned(),
    }
}

/// The entity in the body of a request.
pub(super) fn request<'d>(
    document: &'d Value,
    operation: &Operation,
    entity: &Shape<'_>,
) -> Option<Found<'d>> {
    let body = operation.body.as_ref()?;
    // Files are for functions.
    if !body.contents.iter().any(|content| {
        matches!(content.payload, Payload::Value(_)) && is_value(&content.media_type)
    }) {
        return None;
    }
    let shape = content(
        document,
        format!("{}/requestBody", operation.pointer),
        false,
    )?;
    shape.or_in_envelope(|shape| shape.is_like(entity))
}

/// The body of a patch whose schema says nothing of what is in it.
pub(super) fn patch<'d>(document: &'d Value, operation: &Operation) -> Option<Found<'d>> {
    operation.body.as_ref()?;
    let shape = content(document, format!("{}/requestBody", operation.pointer), true)?;
    let open = !shape.has_properties() && !shape.is_scalar() && !shape.is_list();
    open.then_some(Found {
        pointer: String::new(),
        shape,
    })
}

/// The status of a success without a body.
pub(super) fn status(operation: &Operation) -> u16 {
    let successes = successes(operation);
    let first = successes.iter().find_map(|response| match response.status {
        Status::Code(code) => Some(code),
        _ => None,
    });
    // A document that says nothing of success, or leaves it open.
    let open = operation
        .responses
        .iter()
        .any(|it| matches!(it.status, Status::Class(2) | Status::Default));
    first.unwrap_or(if open { 200 } else { 204 })
}

/// Whether the success has no body.
pub(super) fn is_bodiless(operation: &Operation) -> bool {
    successes(operation)
        .first()
        .is_none_or(|response| response.contents.is_empty())
}

pub(super) fn declares(operation: &Operation, code: u16) -> bool {
    operation
        .responses
        .iter()
        .any(|response| response.status == Status::Code(code))
}
