//! What the command `memgen` is made of.
//!
//! - [`spec`] reads OpenAPI documents into one tree that knows where each value stands.
//! - [`lower`] says what a document means.
//! - [`infer`] decides which operations work on state.
//! - [`inspect`] shows the decisions.
//! - [`model`] is what a document says, in the terms of a service.
//! - [`names`] and [`emit`] write it as a crate.
//! - [`files`] and [`lock`] bring a folder up to date; [`relative`] is how they write paths.
//! - [`generate`] is all of it.
//! - [`cli`] has the subcommands; [`check`], [`dev`], [`new`] and [`upgrade`] are the larger ones, on [`scaffold`]; [`ui`] and [`exit`] are what they say.
//! - [`diagnostic`] is what is wrong with a document, and where; [`text`] makes what strangers wrote fit to be shown.
//! - [`servers`] starts Kafka and ZooKeeper for development and tests.

mod cargo;
pub mod check;
pub mod cli;
pub mod dev;
pub mod diagnostic;
pub mod emit;
pub mod exit;
mod fetch;
pub mod files;
pub mod generate;
pub mod infer;
pub mod inspect;
pub mod lock;
mod log;
pub mod lower;
pub mod model;
pub mod names;
pub mod new;
pub mod relative;
pub mod scaffold;
pub mod servers;
mod service;
pub mod spec;
mod status;
mod table;
pub mod text;
mod topics;
pub mod ui;
pub mod upgrade;
