//! The attribute macros of memgen. Their documentation, with examples, is in the crate `memgen`, which re-exports them.
//!
//! # Layout
//! In the order in which tokens travel: [`symbols`] has every word of an attribute · [`attr`] reads attributes, with [`template`] for
//! paths · [`ast`] reads items · [`check`] holds what must be true of them, and [`errors`] what is not · [`model`] is what is right ·
//! [`expand`] emits it · [`fallback`] emits what is left of wrong input.
//!
//! Past the model no mistake is reported; before it nothing panics.

use proc_macro::TokenStream;

mod ast;
mod attr;
mod check;
mod errors;
mod expand;
mod fallback;
mod json_name;
mod model;
mod near;
mod symbols;
mod template;
mod types;

/// A struct whose instances are kept in memory, one per key, in the log, and behind a REST API:
/// `#[stateful_api(path = "/vertex", crud(get, list))]`.
#[proc_macro_attribute]
pub fn stateful_api(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::stateful_api(attr.into(), item.into()).into()
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
