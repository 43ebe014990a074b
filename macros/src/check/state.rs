//! The rules of a state struct.

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::{Attribute, Meta, ext::IdentExt as _};

use crate::{
    ast::{StateField, StateItem, StateShape},
    attr::StateAttr,
    errors::Errors,
    json_name::json_name,
    model::{EntityField, KeyField, State},
    near::{list, nearest},
    symbols::{
        CRUD, ENTITY, GLOBAL, KEY, MIGRATE, PARTITION_BY, PARTITIONS, TOPIC, TOPIC_BYTES_MAX,
    },
    template::Template,
};

/// The state, if nothing is wrong with it.
pub(crate) fn state(attr: StateAttr, item: &StateItem, errors: &Errors) -> Option<State> {
    let (ident, generics, fields) = match &item.shape {
        StateShape::Named {
            ident,
            generics,
            fields,
        } => (ident, generics, fields),
        StateShape::Other { place, what, .. } => {
            errors.push(
                place,
                format!(
                    "a state is a struct with named fields, and this is {what}: `{} struct Vertex {{ #[key] id: u32, … }}`",
                    attr.form
                ),
            );
            return None;
        }
    };
    if !generics.params.is_empty() {
        errors.push(generics, format!("a state is one type: write `struct {ident} {{ … }}`, without generics and lifetimes"));
    }
    let key = key(item, ident, fields, errors);
    let partition_by = partition_by(fields, key.len(), errors);
    for field in fields {
        strays(field, errors);
    }
    if let Some(path) = &attr.path {
        placeholders(path, ident, &key, fields, errors);
    }
    let entity = entity(item, fields, &attr, errors);
    let migrations = super::migrations::migrations(&item.migrate, ident, errors);
    let topic = topic(&attr, ident, errors);
    let path = match attr.path {
        // Only nodes use it, among themselves, or nobody.
        None if item.has_entity() || attr.is_external => {
            let name = if attr.is_external { "external" } else { &topic };
            let literal = syn::LitStr::new(&format!("/{name}"), ident.span());
            Template::parse(&literal, crate::template::Root::Refused, errors)?
        }
        path => path?,
    };
    (errors.count() == 0).then(|| State {
        ident: ident.clone(),
        doc: item.doc.clone(),
        path,
        topic,
        partitions: attr.partitions.unwrap_or(1),
        global: attr.global,
        crud: attr.crud,
        ack: attr.ack,
        key,
        partition_by,
        entity,
        migrations,
    })
}

/// The form of a state with an entity.
const ENTITY_FORM: &str = "`#[key] pub id: i64, #[entity] pub pet: Pet`";

/// The field with `#[entity]`. All others are the key.
fn entity(
    item: &StateItem,
    fields: &[StateField],
    attr: &StateAttr,
    errors: &Errors,
) -> Option<EntityField> {
    let mut marked = fields.iter().filter(|field| !field.entity.is_empty());
    let field = marked.next()?;
    attribute_alone(&field.entity, ENTITY, errors);
    for other in marked {
        errors.push(
            &other.entity[0],
            format!("a state has one entity: {ENTITY_FORM}"),
        );
    }
    for other in fields
        .iter()
        .filter(|field| field.entity.is_empty() && field.key.is_empty())
    {
        errors.push(
            &other.ident,
            format!(
                "beside `#[entity]` there is only the key: move `{}` into the entity, or write `#[key]` above it",
                other.ident
            ),
        );
    }
    if let Some(key) = field.key.first() {
        errors.push(
            key,
            format!("the entity is no part of its key: {ENTITY_FORM}"),
        );
    }
    for word in &attr.of_paths {
        errors.push(
            word,
            format!("the document has the paths of a state with an `#[entity]`: remove `{word}`"),
        );
    }
    Some(EntityField {
        ident: field.ident.clone(),
        json_name: json_name(&field.name(), &field.others, &item.attributes),
        ty: field.ty.clone(),
    })
}

/// The fields of the key, also those with something wrong.
fn key(item: &StateItem, ident: &Ident, fields: &[StateField], errors: &Errors) -> Vec<KeyField> {
    let mut key = Vec::new();
    for field in fields.iter().filter(|field| !field.key.is_empty()) {
        attribute_alone(&field.key, KEY, errors);
        if let Some(why) = crate::types::why_no_key(&field.ty) {
            errors.push(
                &field.ty,
                format!(
                    "a key can't be {why}: keys are integers, strings, `Uuid`, and newtypes or unit-only enums of them"
                ),
            );
        }
        serde(field, errors);
        key.push(KeyField {
            ident: field.ident.clone(),
            name: field.name(),
            json_name: json_name(&field.name(), &field.others, &item.attributes),
            ty: field.ty.clone(),
        });
    }
    // A misspelt attribute, or one that needs `#[key]` beside it, has a message of its own.
    let meant = fields
        .iter()
        .any(|field| !field.strays.is_empty() || !field.partition_by.is_empty());
    if key.is_empty() && !meant {
        let example = fields
            .iter()
            .find(|field| crate::types::is_scalar(&field.ty))
            .map_or_else(
                || "id: u32".to_owned(),
                |field| format!("{}: {}", field.ident, field.ty.to_token_stream()),
            );
        errors.push(ident, format!("a state needs a key: write `#[key]` above at least one field, like `#[key] {example}`"));
    }
    key
}

/// `#[serde(…)]` that keeps a key out of the JSON.
fn serde(field: &StateField, errors: &Errors) {
    for attribute in field
        .others
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        // What serde does not understand, serde reports.
        let _ = attribute.parse_nested_meta(|meta| {
            if let Some(word) = meta.path.get_ident().map(ToString::to_string)
                && (word.starts_with("skip") || word == "flatten")
            {
                errors.push(
                    &meta.path,
                    format!("a key is always in the JSON under its name: remove `{word}`"),
                );
            }
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            } else if meta.input.peek(syn::token::Paren) {
                meta.input.parse::<proc_macro2::Group>()?;
            }
            Ok(())
        });
    }
}

/// `#[word]`, once and without arguments.
fn attribute_alone(attributes: &[Attribute], word: &str, errors: &Errors) {
    for (at, attribute) in attributes.iter().enumerate() {
        if at > 0 {
            errors.push(attribute, format!("`#[{word}]` is given twice: keep one"));
        } else if !matches!(attribute.meta, Meta::Path(_)) {
            errors.push(
                attribute,
                format!("`#[{word}]` takes no arguments: write `#[{word}]`"),
            );
        }
    }
}

fn partition_by(fields: &[StateField], keys: usize, errors: &Errors) -> Vec<String> {
    let mut names = Vec::new();
    let both = "`#[key] #[partition_by]`";
    for field in fields {
        let Some(first) = field.partition_by.first() else {
            continue;
        };
        attribute_alone(&field.partition_by, PARTITION_BY, errors);
        if field.key.is_empty() {
            errors.push(
                first,
                format!(
                    "only a part of the key decides the partition: write {both} above `{}`",
                    field.ident
                ),
            );
            continue;
        }
        if keys == 1 {
            errors.push(
                first,
                "a key of one field decides the partition anyway: remove `#[partition_by]`, or add a second `#[key]` field",
            );
        }
        names.push(field.name());
    }
    if keys > 1 && names.len() == keys {
        let last = fields
            .iter()
            .rev()
            .find_map(|field| field.partition_by.first());
        errors.push(
            last.to_token_stream(),
            "all fields of the key decide the partition anyway: keep `#[partition_by]` on those that keep entities together",
        );
    }
    names
}

/// Attributes at the wrong place, and misspelt ones.
fn strays(field: &StateField, errors: &Errors) {
    for attribute in &field.strays {
        let word = attribute.path().to_token_stream().to_string();
        let message = match word.as_str() {
            CRUD => "`crud(…)` belongs to the struct: `#[stateful_api(path = \"/…\", crud(get, list))]`".to_owned(),
            TOPIC => "`topic` belongs to the struct: `#[stateful_api(path = \"/…\", topic = \"…\")]`".to_owned(),
            PARTITIONS => "`partitions` belongs to the struct: `#[stateful_api(path = \"/…\", partitions = 4)]`".to_owned(),
            MIGRATE => "`migrate` belongs above the struct: `#[migrate(from = VertexV1)] struct Vertex { … }`".to_owned(),
            GLOBAL => "`global` belongs to the struct: `#[stateful_api(path = \"/…\", global)]`".to_owned(),
            word => match nearest(word, &[KEY, PARTITION_BY, ENTITY]) {
                Some(near) => format!("`#[{word}]` is not known here: did you mean `#[{near}]`?"),
                None => continue,
            },
        };
        errors.push(attribute, message);
    }
}

/// The placeholders of the collection are the first fields of the key.
fn placeholders(
    path: &Template,
    ident: &Ident,
    key: &[KeyField],
    fields: &[StateField],
    errors: &Errors,
) {
    let names: Vec<&str> = key.iter().map(|field| field.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let mut unknown = false;
    for placeholder in &path.placeholders {
        if names.contains(&placeholder.as_str()) {
            continue;
        }
        unknown = true;
        let hint = if fields.iter().any(|field| field.name() == *placeholder) {
            format!("write `#[key]` above the field `{placeholder}`")
        } else {
            match nearest(placeholder, &names) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => format!("the key of `{ident}` has {}", list(&names)),
            }
        };
        errors.push(
            &path.literal,
            format!("`{{{placeholder}}}` is no key field: {hint}"),
        );
    }
    let leading = names
        .iter()
        .zip(&path.placeholders)
        .all(|(name, placeholder)| name == placeholder);
    if !unknown && !leading {
        let legal: Vec<String> = names
            .iter()
            .take(path.placeholders.len())
            .map(|name| format!("`{{{name}}}`"))
            .collect();
        errors.push(
            &path.literal,
            format!(
                "the path of the collection has the first fields of the key, in their order: {} (the others follow in the path of one entity)",
                legal.join(", then ")
            ),
        );
    } else if !unknown && key.len() == path.placeholders.len() {
        let last = &names[names.len() - 1];
        let legal = path.text().replace(&format!("/{{{last}}}"), "");
        let legal = if legal.is_empty() || legal.ends_with('}') {
            format!("{legal}/{}", snake_case(ident))
        } else {
            legal
        };
        errors.push(
            &path.literal,
            format!(
                "this is the path of the collection, and `/{{{last}}}` is added for one entity: write `path = \"{legal}\"`"
            ),
        );
    }
}

fn topic(attr: &StateAttr, ident: &Ident, errors: &Errors) -> String {
    if let Some(literal) = &attr.topic {
        let topic = literal.value();
        if let Err(mistake) = topic_is_legal(&topic) {
            errors.push(literal, mistake);
        }
        return topic;
    }
    let topic = snake_case(ident);
    if topic_is_legal(&topic).is_err() {
        errors.push(ident, "the name of this struct is no name for a topic: add `topic = \"…\"` to `#[stateful_api]`");
    }
    topic
}

/// The rule of Kafka, and names that are not for states.
pub(super) fn topic_is_legal(topic: &str) -> Result<(), String> {
    let legal = "a topic has letters, digits, `.`, `_` and `-`";
    if topic.is_empty() {
        return Err(format!("the topic is empty: {legal}"));
    }
    if topic == "." || topic == ".." {
        return Err(format!(
            "a topic can't be `{topic}`: {legal}, and not only dots"
        ));
    }
    if topic.len() > TOPIC_BYTES_MAX {
        return Err(format!(
            "a topic has at most {TOPIC_BYTES_MAX} bytes, and this one has {}",
            topic.len()
        ));
    }
    if let Some(bad) = topic
        .chars()
        .find(|character| !(character.is_ascii_alphanumeric() || "._-".contains(*character)))
    {
        return Err(format!("a topic can't contain {bad:?}: {legal}"));
    }
    if let Some(rest) = topic.strip_prefix("__") {
        let rest = rest.trim_start_matches('_');
        let rest = if rest.is_empty() { "vertex" } else { rest };
        return Err(format!(
            "topics that start with `__` are reserved: write `topic = \"{rest}\"`"
        ));
    }
    Ok(())
}

/// `OrderLine` -> `order_line`, `HTTPRoute` -> `http_route`
fn snake_case(ident: &Ident) -> String {
    let name: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut snake = String::new();
    for (at, character) in name.iter().enumerate() {
        let after_lower = at > 0 && !name[at - 1].is_uppercase() && name[at - 1] != '_';
        let before_lower = at > 0
            && name[at - 1].is_uppercase()
            && name.get(at + 1).is_some_and(|next| next.is_lowercase());
        if character.is_uppercase() && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    #[test]
    fn names_become_snake_case() {
        let rows = [
            ("Vertex", "vertex"),
            ("OrderLine", "order_line"),
            ("HTTPRoute", "http_route"),
            ("RouteHTTP", "route_http"),
            ("A", "a"),
            ("V2Item", "v2_item"),
            ("Already_Snake", "already_snake"),
        ];
        for (name, snake) in rows {
            assert_eq!(snake_case(&Ident::new(name, Span::call_site())), snake);
        }
    }

    #[test]
    fn topics() {
        for topic in ["vertex", "a.b-c_D9", "_x", &"x".repeat(249)] {
            assert_eq!(topic_is_legal(topic), Ok(()), "{topic}");
        }
        for topic in [
            "",
            ".",
            "..",
            "a b",
            "a/b",
            "ä",
            "__offsets",
            &"x".repeat(250),
        ] {
            assert!(topic_is_legal(topic).is_err(), "{topic}");
        }
    }
}
