//! The kit of the tests that run services as processes and talk to them over HTTP.
//!
//! ```no_run
//! use memgen_tests::Service;
//! use serde_json::json;
//!
//! # async fn example() {
//! let mut running = Service::new("register").start().await;
//! let reply = running.client().put("/r/a", &json!({"value": 1})).await;
//! assert_eq!(reply.status, 201);
//! running.kill_9();
//! # }
//! ```
//!
//! - [`authority`] signs the certificates of nodes.
//! - [`binaries`] builds the services once and finds them.
//! - [`project`] builds crates that the command `memgen` wrote, and [`versions`] several versions of a service.
//! - [`outcome`]: what the generator makes of a whole document.
//! - [`service`] starts a process on free ports and a folder of its own, and ends it on drop.
//! - [`cluster`] runs several nodes with real Kafka and ZooKeeper, [`load`] are their clients, and [`history`] checks what those saw.
//! - [`chaos`]: what happens to a cluster, as often as one likes, and what it comes to; [`network`] gives nodes hosts of their own.
//! - [`ledger`] and [`graph`]: clients of the examples with transactions, each a [`crowd`], and whether what they saw is right, by [`insist`] and [`components`]; [`places`]: where nodes are
//!   while they come and go.
//! - [`client`] is HTTP as a well-behaved client speaks it, [`raw`] as anybody might.
//! - [`feed`] reads change feeds, and [`watchers`] are many of those, each of which checks what it sees.
//! - [`browser`] looks at pages.
//! - [`conformance`] tells whether a reply is one that the document describes.
//! - [`proxy`]: a network that can be cut.
//! - [`simulate`]: random histories over whole nodes in a simulation.
//! - [`soak`]: a cluster under a steady load, for as long as one likes.
//! - [`fuzz`]: what is read from outside or from a disk, with a few things wrong.
//! - [`folder`], [`random`]: a folder that goes away, and chance that can be repeated; [`logging`]: what services log that run within a test.

#![allow(
    clippy::missing_panics_doc,
    reason = "the kit is made to panic: that is how a test fails"
)]

pub mod authority;
pub mod binaries;
pub mod browser;
pub mod chaos;
pub mod client;
pub mod cluster;
pub mod components;
pub mod conformance;
pub mod crowd;
pub mod feed;
pub mod folder;
pub mod fuzz;
pub mod graph;
pub mod history;
pub mod insist;
pub mod ledger;
pub mod load;
pub mod logging;
pub mod network;
pub mod outcome;
pub mod places;
pub mod project;
pub mod proxy;
pub mod random;
pub mod raw;
pub mod service;
pub mod simulate;
pub mod soak;
pub mod versions;
pub mod waits;
pub mod watchers;

pub use client::{Client, Reply};
pub use conformance::Conformance;
pub use folder::Folder;
pub use places::Places;
pub use random::Random;
pub use service::{Running, Service};

/// The time since the start of the machine, in nanoseconds: the same clock for all processes, and it never stands still.
#[must_use]
pub fn moment() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).expect("it is positive") * 1_000_000_000
        + u64::try_from(now.tv_nsec).expect("it is positive")
}

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
