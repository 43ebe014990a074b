//! memgen: stateful, partitioned, durable REST services from annotated structs and plain functions.
//!
//! # Layout
//! In the order in which a request travels:
//! [`server`] starts nodes · `listener` accepts · `route` finds the endpoint · `call` makes the arguments · `partitions` finds the owner of the key ·
//! `forward` passes on what another node owns · `mailbox` queues · `writer` decides, appends, applies, replies · [`log`] remembers · [`fold`] says what counts ·
//! [`memory`] is what reads see.
#![doc(test(attr(allow(dead_code))))]
// The crate's own examples and macros name it as its users do.
#[allow(unused_extern_crates)]
extern crate self as memgen;

mod admin;
mod ambient;
pub mod batch;
mod broken;
mod budget;
mod call;
mod clock;
mod cluster;
mod cluster_page;
mod conditional;
pub mod config;
#[cfg(feature = "contract")]
pub mod contract;
#[cfg(not(feature = "contract"))]
#[path = "no_contract.rs"]
mod contract;
pub mod coordinator;
mod crud;
mod deaths;
pub mod docs;
mod entry;
mod external;
mod feed;
mod filter;
pub mod fold;
mod forward;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gather;
mod home;
mod idempotency;
mod json;
pub mod key;
mod keyed_body;
mod layout;
mod list;
mod listener;
pub mod log;
mod log_watch;
pub mod logging;
mod mailbox;
pub mod memory;
pub mod metrics;
mod migration;
mod network;
mod node;
pub mod openapi;
pub mod operation;
pub mod partitioner;
mod partitions;
mod peer_api;
mod peer_link;
mod peer_secret;
pub mod plan;
pub mod planner;
mod position;
#[doc(hidden)]
pub mod private;
pub mod problem;
mod process;
pub mod progress;
pub mod record;
mod replay_progress;
pub mod replica;
pub mod reply;
mod route;
#[cfg(feature = "avro")]
mod schemas;
#[cfg(not(feature = "avro"))]
#[path = "no_schemas.rs"]
mod schemas;
mod select;
pub mod server;
mod service;
#[cfg(all(test, feature = "testing"))]
mod simulation;
mod snapshot;
pub mod state;
mod store;
mod stream;
mod takeover;
mod template;
mod tender;
#[cfg(feature = "testing")]
pub mod testing;
mod the_entity;
mod tx;
mod watched;
mod writer;

#[doc = include_str!("docs/external.md")]
pub use memgen_macros::external;
#[doc = include_str!("docs/handler.md")]
pub use memgen_macros::handler;
#[doc = include_str!("docs/handlers.md")]
pub use memgen_macros::handlers;
#[doc = include_str!("docs/on_event.md")]
pub use memgen_macros::on_event;
#[cfg(feature = "contract")]
#[doc = include_str!("docs/operations.md")]
pub use memgen_macros::operations;
#[doc = include_str!("docs/stateful_api.md")]
pub use memgen_macros::stateful_api;

#[cfg(feature = "contract")]
pub use crate::contract::Contract;
pub use crate::{
    call::Caller,
    config::{Config, Limits},
    entry::Entry,
    external::{External, ExternalState},
    node::Context,
    problem::{Problem, Result},
    service::Service,
    state::State,
    store::Store,
    tx::Tx,
};

/// What a service's source needs: `use memgen::prelude::*;`.
pub mod prelude {
    pub use axum::{Json, extract::Query, http::StatusCode, response::Html};
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use uuid::Uuid;

    pub use crate::{
        Caller, Entry, External, Problem, Result, Store, Tx, external, handler, handlers, on_event,
        problem::{Conflict, Forbidden, Gone, Invalid, NotFound, Unavailable},
        reply::{Accepted, Created, NoContent, SeeOther},
        stateful_api,
    };
}

/// A [`Service`] of the listed parts: states, and free handlers by the names of their functions.
#[macro_export]
macro_rules! service {
    () => {
        $crate::Service::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    };
    ($($part:path),+ $(,)?) => {{
        #[allow(unused_imports)]
        use $crate::private::{
            ExternalPart as _, FreePart as _, InputPart as _, StatePart as _,
            StateWithHandlersPart as _,
        };
        const _: fn() = || {
            fn part<T: $crate::private::Part>() {}
            $(part::<$part>();)+
        };
        $crate::Service::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            $(.with((&&&$crate::private::Probe::<$part>::NEW).part()))+
    }};
}

/// The `main` function of a service of the listed parts: `memgen::main!(Vertex, Component, connect);`.
#[macro_export]
macro_rules! main {
    ($($part:path),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::service!($($part),+).main()
        }
    };
}
