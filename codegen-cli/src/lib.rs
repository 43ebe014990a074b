//! What the command `memgen` is made of.
//!
//! - [`spec`] reads OpenAPI documents into one tree that knows where each value stands.
//! - [`lower`] says what a document means.
//! - [`model`] is what a document says, in the terms of a service.
//! - [`diagnostic`] is what is wrong with a document, and where.
//! - [`servers`] starts Kafka and ZooKeeper for development and tests.

pub mod diagnostic;
pub mod lower;
pub mod model;
pub mod servers;
pub mod spec;
