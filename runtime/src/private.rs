//! What the macros' code refers to. Not for use by hand; it may change at any time.

pub use axum::{
    http::Method,
    response::{IntoResponse, Response},
};
pub use schemars;
pub use serde;
pub use serde_json;

pub use crate::{
    call::{Call, CallFuture, Free, Halt, Keyed},
    external::{ExternalState, Externals, Values},
    operation::Operation,
    service::{AsPart, ExternalPart, FreePart, InputPart, Probe, StatePart, StateWithHandlersPart},
    stream::{Declared, EventRan, Format, Input},
    tx::Ran,
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
    /// The names of the external states that it looks things up in.
    pub externals: &'static [&'static str],
}

/// What can be listed in `memgen::main!`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a part of a service",
    label = "neither a state nor a handler",
    note = "parts are structs with `#[stateful_api(…)]` or `#[external(…)]`, and functions with `#[handler(…)]` or `#[on_event(…)]`"
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

/// A function with `#[on_event]`.
pub trait EventHandler {
    /// What it takes in.
    fn input() -> Input;
}
