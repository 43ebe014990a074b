//! Compile-time checks of keys and arguments, on the user's own tokens.

use axum::extract::FromRequestParts;

use crate::{node::Context, state::Definition};

/// What can be an argument of a handler besides the parts of the path and the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of a handler",
    label = "not a placeholder of the path, and nothing that is made from a request's head",
    note = "arguments are placeholders of the path by name (`id: u32` for `/{{id}}`), `Json<T>`, `Query<T>`, `Store<S>`, `External<S>`, `Caller`, \
            `HeaderMap`, or anything that implements axum's `FromRequestParts`"
)]
pub trait Argument: FromRequestParts<Context> {}

#[diagnostic::do_not_recommend]
impl<T: FromRequestParts<Context>> Argument for T {}

/// Whether each key field is a placeholder of the state's path or of `path`, the path of a handler.
#[must_use]
pub const fn has_all_key_fields(definition: &Definition, path: &str) -> bool {
    let mut index = 0;
    while index < definition.key_fields.len() {
        let field = definition.key_fields[index];
        if !has_placeholder(definition.collection, field) && !has_placeholder(path, field) {
            return false;
        }
        index += 1;
    }
    true
}

/// Whether an argument is a placeholder of the state's path.
#[must_use]
pub const fn is_placeholder(definition: &Definition, name: &str) -> bool {
    // A stub after mistakes has no key, and what follows from mistakes is not worth a message.
    definition.key_fields.is_empty() || has_placeholder(definition.collection, name)
}

/// Whether a placeholder of a handler's path that is no argument is a key field.
#[must_use]
pub const fn is_key_field(definition: &Definition, name: &str) -> bool {
    let mut index = 0;
    while index < definition.key_fields.len() {
        let field = definition.key_fields[index].as_bytes();
        if field.len() == name.len() && same_at(field, 0, name.as_bytes()) {
            return true;
        }
        index += 1;
    }
    definition.key_fields.is_empty()
}

/// Whether `path` has the placeholder `{name}`.
const fn has_placeholder(path: &str, name: &str) -> bool {
    let (path, name) = (path.as_bytes(), name.as_bytes());
    let mut start = 0;
    while start < path.len() {
        if path[start] == b'{' {
            let mut length = 0;
            while start + 1 + length < path.len() && path[start + 1 + length] != b'}' {
                length += 1;
            }
            let closed = start + 1 + length < path.len();
            if closed && length == name.len() && same_at(path, start + 1, name) {
                return true;
            }
        }
        start += 1;
    }
    false
}

/// Whether `name` stands in `path` from `start` on.
const fn same_at(path: &[u8], start: usize, name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() && start + at < path.len() && path[start + at] == name[at] {
        at += 1;
    }
    at == name.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_by_their_whole_name() {
        assert!(has_placeholder("/a/{b}/c/{d}", "b"));
        assert!(has_placeholder("/a/{b}/c/{d}", "d"));
        for name in ["a", "c", "", "bb", "{b}"] {
            assert!(!has_placeholder("/a/{b}/c/{d}", name), "{name}");
        }
        assert!(!has_placeholder("/{bc}", "b"));
        assert!(!has_placeholder("/{bc", "bc"));
    }

    const DEFINITION: Definition = Definition {
        name: "Order",
        doc: "",
        collection: "/customers/{customer}/orders",
        item: "/customers/{customer}/orders/{order}",
        topic: "orders",
        partitions: 1,
        global: false,
        ack: &[],
        crud: &[],
        key_fields: &["customer", "order"],
        key_names: &["customer", "order"],
        partition_by: &[],
        entity: None,
    };

    #[test]
    fn names_are_those_of_the_state() {
        assert!(is_placeholder(&DEFINITION, "customer"));
        assert!(!is_placeholder(&DEFINITION, "order"));
        assert!(is_key_field(&DEFINITION, "order"));
        assert!(!is_key_field(&DEFINITION, "orders"));
        assert!(has_all_key_fields(&DEFINITION, "/{order}/x"));
        assert!(!has_all_key_fields(&DEFINITION, "/{orders}/x"));
        assert!(!has_all_key_fields(&DEFINITION, "/order"));
    }
}
