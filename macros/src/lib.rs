//! The attribute macros of memgen. Their documentation, with examples, is in the crate `memgen`, which re-exports them.
//!
//! # Layout
//! In the order in which tokens travel: [`symbols`] has every word of an attribute · [`attr`] reads attributes, with [`template`] for
//! paths · [`ast`] reads items · [`check`] holds what must be true of them, and [`errors`] what is not · [`model`] is what is right ·
//! [`expand`] emits it · [`fallback`] emits what is left of wrong input.
//!
//! What a document asks for has one file each: `operations`, with [`written`] for what users write of them · `reply`, with [`status`] for its names · `body`.
//!
//! Past the model no mistake is reported; before it nothing panics.

use proc_macro::TokenStream;

mod ast;
mod attr;
mod body;
mod check;
mod errors;
mod expand;
mod fallback;
mod json_name;
mod model;
mod near;
mod operations;
mod reply;
mod status;
mod symbols;
mod template;
mod types;
mod written;

/// A struct whose instances are kept in memory, one per key, in the log, and behind a REST API:
/// `#[stateful_api(path = "/vertex", crud(get, list))]`.
#[proc_macro_attribute]
pub fn stateful_api(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::stateful_api(attr.into(), item.into()).into()
}

/// A struct whose values others write to a topic, and which is looked up in at each node:
/// `#[external(topic = "rates", path = "/rate", crud(get, list))]`.
#[proc_macro_attribute]
pub fn external(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::external(attr.into(), item.into()).into()
}

/// The routes of a state: functions of its `impl` block with `#[get("/{id}/…")]`, `#[post]`, `#[put]`, `#[patch]` or `#[delete]`.
#[proc_macro_attribute]
pub fn handlers(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::handlers(attr.into(), item.into()).into()
}

/// A route that belongs to no single entity: `#[handler(post, "/connect/{a}/{b}")]` on a free function.
#[proc_macro_attribute]
pub fn handler(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::handler(attr.into(), item.into()).into()
}

/// A function that takes in the events of a topic: `#[on_event(topic = "sightings", key = "place")]` on a free function.
#[proc_macro_attribute]
pub fn on_event(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::on_event(attr.into(), item.into()).into()
}

/// The operations of a document that users write: a trait, each method of which answers 501 until somebody implements it; and such an implementation.
#[proc_macro_attribute]
pub fn operations(attr: TokenStream, item: TokenStream) -> TokenStream {
    operations::expand(attr.into(), item.into()).into()
}

/// What `#[operations]` on an `impl` comes to, once the trait has said what its operations are.
#[doc(hidden)]
#[proc_macro]
pub fn written(tokens: TokenStream) -> TokenStream {
    written::expand(tokens.into()).into()
}

/// What an operation answers: an enum with a variant for each status and media type.
#[proc_macro_derive(Reply, attributes(reply, header))]
pub fn reply(item: TokenStream) -> TokenStream {
    reply::expand(item.into()).into()
}

/// What an operation takes: an enum with a variant for each kind of body.
#[proc_macro_derive(Body, attributes(body))]
pub fn body(item: TokenStream) -> TokenStream {
    body::expand(item.into()).into()
}
