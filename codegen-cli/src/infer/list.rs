//! Lists: where the entities are in the reply, how its pages are asked for, and what it is filtered by.

use serde_json::{Value, json};

use super::{
    key,
    shape::{self, Shape, at},
};
use crate::{
    model::{Operation, Parameter, Place, Status, TypeRef},
    spec::escape,
};

const LIMIT: [&str; 14] = [
    "limit",
    "perpage",
    "pagesize",
    "maxresults",
    "size",
    "top",
    "first",
    "pagelimit",
    "take",
    "maxitems",
    "numresults",
    "resultsperpage",
    "itemsperpage",
    "maxrecords",
];
const AFTER: [&str; 13] = [
    "after",
    "cursor",
    "pagetoken",
    "nexttoken",
    "continue",
    "startingafter",
    "startcursor",
    "pagecursor",
    "marker",
    "continuationtoken",
    "nextcursor",
    "aftercursor",
    "nextpagetoken",
];
const OFFSET: [&str; 5] = ["offset", "skip", "start", "startat", "startindex"];
const PAGE: [&str; 4] = ["page", "pagenumber", "pageno", "pageindex"];
const NEXT: [&str; 8] = [
    "next",
    "nextcursor",
    "nextpagetoken",
    "cursor",
    "nexttoken",
    "continue",
    "continuationtoken",
    "offset",
];
const TOTAL: [&str; 5] = [
    "total",
    "totalcount",
    "totalitems",
    "totalresults",
    "totalelements",
];
const MORE: [&str; 3] = ["hasmore", "more", "hasnext"];

/// Of these, words that say nothing of pages where there is no list.
const ELSEWHERE: [&str; 9] = [
    "size", "top", "first", "take", "after", "start", "startat", "continue", "marker",
];

fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().to_ascii_lowercase()
}

/// What a parameter says of the page that is asked for.
fn paging(parameter: &Parameter) -> Option<&'static str> {
    let name = plain(&parameter.name);
    let named = |names: &[&str]| names.contains(&name.as_str());
    match parameter.ty {
        TypeRef::I32 | TypeRef::I64 | TypeRef::U32 | TypeRef::U64 | TypeRef::F64 => {
            let roles = [("limit", &LIMIT[..]), ("offset", &OFFSET), ("page", &PAGE)];
            let role = roles.into_iter().find(|(_, names)| named(names));
            role.map(|(role, _)| role)
        }
        TypeRef::String | TypeRef::Uuid => (named(&AFTER) || named(&OFFSET)).then_some("after"),
        _ => None,
    }
}

/// Whether a parameter speaks of pages also where there is no list.
pub(super) fn is_idle(parameter: &Parameter) -> bool {
    paging(parameter).is_some() && !ELSEWHERE.contains(&plain(&parameter.name).as_str())
}

/// The decision of a list, if the operation is one of these entities.
pub(super) fn decide(
    operation: &Operation,
    document: &Value,
    entity: &Shape<'_>,
    key: &[Value],
) -> Option<Value> {
    let (status, body) = body(operation, document)?;
    let (reply, envelope) = items(&body, entity)?;
    let mut list = serde_json::Map::new();
    let mut filters = serde_json::Map::new();
    let properties = entity.properties();
    let mut role = |role: &str, name: &str| {
        if !list.contains_key(role) {
            list.insert(role.to_owned(), name.into());
            return true;
        }
        false
    };
    for parameter in operation
        .parameters
        .iter()
        .filter(|it| it.place == Place::Query)
    {
        let field = parameter.field.as_str();
        if paging(parameter).is_some_and(|paging| role(paging, field)) {
            continue;
        }
        let property = properties.get(&parameter.name);
        let scalar = property.is_some_and(Shape::is_scalar);
        // A list of values is any of them.
        let value = match &parameter.ty {
            TypeRef::List(item) => !matches!(**item, TypeRef::Named(_)) || scalar,
            TypeRef::Map(_) | TypeRef::Any | TypeRef::File => false,
            _ => true,
        };
        let place = at(&parameter.name);
        if scalar && value {
            filters.insert(field.to_owned(), place.into());
        } else if let Some(id) = property.and_then(key::of_reference).filter(|_| value) {
            // `?owner=7`, where an entity has `"owner": {"id": "7"}`.
            filters.insert(field.to_owned(), format!("{place}{id}").into());
        }
    }
    if let Some(envelope) = envelope {
        for (role, names, kind) in [
            ("next", &NEXT[..], "string"),
            ("total", &TOTAL[..], "integer"),
            ("more", &MORE[..], "boolean"),
        ] {
            if let Some(place) = find(&envelope, names, kind) {
                list.insert(role.to_owned(), place.into());
            }
        }
    }
    // A cursor that no parameter takes leads nowhere.
    if !list.contains_key("after") {
        list.remove("next");
    }
    if !filters.is_empty() {
        list.insert("filters".to_owned(), filters.into());
    }
    let mut value = json!({ "status": status, "key": key, "reply": reply });
    if !list.is_empty() {
        value["list"] = list.into();
    }
    Some(value)
}

/// The schema of the first success.
fn body<'d>(operation: &Operation, document: &'d Value) -> Option<(u16, Shape<'d>)> {
    let code = operation
        .responses
        .iter()
        .find_map(|response| match response.status {
            Status::Code(code @ 200..300) => Some(code),
            _ => None,
        })?;
    let (response, place) =
        shape::part(document, format!("{}/responses/{code}", operation.pointer))?;
    let contents = response.get("content")?.as_object()?;
    let name = contents
        .keys()
        .find(|name| name.contains("json") || *name == "*/*")?;
    let shape = Shape::at_pointer(
        document,
        &format!("{place}/content/{}/schema", escape(name)),
    )?;
    Some((code, shape))
}

/// Where the entities are: the body itself, or the one list of them in it. And what is around them.
fn items<'d>(body: &Shape<'d>, entity: &Shape<'_>) -> Option<(String, Option<Shape<'d>>)> {
    let of_entities = |list: &Shape<'_>| {
        list.items()
            .is_some_and(|item| item.has_properties() && item.shows(entity))
    };
    if body.is_list() {
        return of_entities(body).then(|| (String::new(), None));
    }
    let properties = body.properties();
    let mut lists = properties.iter().filter(|(_, property)| property.is_list());
    let (name, list) = lists.next()?;
    if lists.next().is_some() || !of_entities(list) {
        return None;
    }
    Some((at(name), Some(body.clone())))
}

/// A property of the envelope, or of an object in it.
fn find(envelope: &Shape<'_>, names: &[&str], kind: &str) -> Option<String> {
    let right = |property: &Shape<'_>| property.types().contains(&kind);
    let properties = envelope.properties();
    for name in names {
        let here = properties
            .iter()
            .find(|(own, property)| plain(own) == *name && right(property));
        if let Some((own, _)) = here {
            return Some(at(own));
        }
    }
    let inside = [
        "paging",
        "pagination",
        "meta",
        "metadata",
        "nextpage",
        "page",
        "pageinfo",
        "responsemetadata",
        "cursor",
    ];
    for (outer, object) in properties
        .iter()
        .filter(|(name, _)| inside.contains(&plain(name).as_str()))
    {
        let inner = object.properties();
        for name in names {
            let there = inner
                .iter()
                .find(|(own, property)| plain(own) == *name && right(property));
            if let Some((own, _)) = there {
                return Some(format!("{}{}", at(outer), at(own)));
            }
        }
    }
    None
}
