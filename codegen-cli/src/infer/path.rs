//! Paths by their segments: collections, items, and the names of resources by them.

use crate::model::{Operation, Place};

/// The collection and the parameter of an item path.
pub(super) fn item_of(path: &str) -> Option<(&str, &str)> {
    let (collection, last) = path.rsplit_once('/')?;
    let name = last.strip_prefix('{')?.strip_suffix('}')?;
    let plain = !name.contains(['{', '}']) && !collection.is_empty() && !collection.ends_with('}');
    // Segments with more than one placeholder are no parts of a key.
    let whole = collection.split('/').all(|segment| {
        !segment.contains('{')
            || (segment.starts_with('{')
                && segment.ends_with('}')
                && segment.matches('{').count() == 1)
    });
    (plain && whole).then_some((collection, name))
}

/// The names between braces, in order.
pub(super) fn placeholders(path: &str) -> Vec<&str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

/// A path without the names of its parameters.
pub(super) fn blank(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            "{}"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Whether paths differ in nothing but the names of their parameters.
pub(super) fn same_route(one: &str, other: &str) -> bool {
    blank(one) == blank(other)
}

/// The last segment of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
/// The name of a resource by its collection.
pub(super) fn name(collection: &str) -> String {
    let last = collection
        .rsplit('/')
        .find(|segment| !segment.is_empty() && !segment.starts_with('{'));
    singular(&crate::names::value_name(last.unwrap_or("entity")))
}

/// One of them.
pub(super) fn singular(plural: &str) -> String {
    let rules = [
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("statuses", "status"),
        ("uses", "us"),
    ];
    for (end, one) in rules {
        if let Some(stem) = plural.strip_suffix(end).filter(|stem| stem.len() > 1) {
            return format!("{stem}{one}");
        }
    }
    let keep = plural.ends_with("ss") || plural.ends_with("us") || plural.ends_with("is");
    match plural.strip_suffix('s') {
        Some(stem) if !keep && stem.len() > 1 => stem.to_owned(),
        _ => plural.to_owned(),
    }
}

/// The name of a path parameter among all decoded parameters.
pub(super) fn field<'a>(operation: &'a Operation, name: &'a str) -> &'a str {
    operation
        .parameters
        .iter()
        .find(|parameter| parameter.place == Place::Path && parameter.name == name)
        .map_or(name, |parameter| parameter.field.as_str())
}
