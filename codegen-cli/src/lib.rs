//! From an OpenAPI document to the source of a memgen service.
//!
//! # Layout
//! In the order in which a document travels:
//! [`spec`] reads files into one bundled tree that knows where each value stands · [`lower`] makes types and operations of it · [`infer`] finds the resources ·
//! [`model`] is what both leave · [`inspect`] shows it · [`names`] and [`emit`] turn it into files · [`files`] compares, writes and locks them.
//! What is wrong on the way becomes a [`diagnostic`].

pub mod diagnostic;
pub mod emit;
pub mod files;
pub mod infer;
pub mod inspect;
pub mod lower;
pub mod model;
pub mod names;
pub mod spec;
