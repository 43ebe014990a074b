//! What the macros' code refers to. Not for use by hand; it may change at any time.

pub use axum::{http::Method, response::Response};

use crate::state::Definition;
pub use crate::{
    call::{Call, CallFuture, Free, Halt, Keyed},
    operation::Operation,
    service::{AsPart, FreePart, Probe, StatePart, StateWithHandlersPart},
};

pub mod argument;
pub mod reply;

/// One handler.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path: relative to the state's path, or whole for a free handler.
    pub path: &'static str,
    /// The function's name.
    pub name: &'static str,
    /// The function's doc comment.
    pub doc: &'static str,
    /// What answers.
    pub call: fn(Call) -> CallFuture,
    /// Says what arguments and reply are.
    pub describe: fn(&mut Operation<'_>),
}

/// What can be listed in `memgen::main!`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a part of a service",
    label = "neither a state nor a handler",
    note = "parts are structs with `#[stateful_api(…)]` and functions with `#[handler(…)]`"
)]
pub trait Part {}

/// A state with a `#[handlers]` block.
pub trait Handlers: crate::State {
    /// The handlers in the block.
    fn routes() -> Vec<Route>;
}

/// A function with `#[handler]`.
pub trait FreeHandler {
    /// The handler.
    fn route() -> Route;

    /// The names of the states that it uses.
    fn states() -> Vec<&'static str>;
}

/// Fails the build if a handler's path lacks a key field.
///
/// # Panics
/// While the program is compiled, if a key field is no placeholder of the collection's path or of `path`.
pub const fn assert_all_key_fields(definition: &Definition, path: &str) {
    let mut index = 0;
    while index < definition.key_fields.len() {
        let field = definition.key_fields[index];
        assert!(
            has_placeholder(definition.collection, field) || has_placeholder(path, field),
            "the path of a handler has a placeholder for each key field, such as \"/{{id}}/edges\" for the key `id`"
        );
        index += 1;
    }
}

const fn has_placeholder(path: &str, field: &str) -> bool {
    let (path, field) = (path.as_bytes(), field.as_bytes());
    let mut start = 0;
    while start + field.len() + 2 <= path.len() {
        if path[start] == b'{' && path[start + field.len() + 1] == b'}' {
            let mut at = 0;
            while at < field.len() && path[start + 1 + at] == field[at] {
                at += 1;
            }
            if at == field.len() {
                return true;
            }
        }
        start += 1;
    }
    false
}
