//! Lanes: a stream of a connection between two nodes in which short requests travel together, and their replies.
//!
//! A stream of HTTP/2 for each request would cost more than a read of a key does. In a lane, all requests that are ready go in one piece of data, and so do replies, each as soon as
//! it is there. What is longer than [`SHORT_BYTES_MAX`] has a stream of its own: it waits for its reader, and nothing waits for it. The other side can't know how long a reply will be,
//! so a long one is left there under a number, and fetched.
//!
//! A node that stops says so in its lanes. Nothing new is sent then, whoever sent asks no more, and what was sent is answered.

mod client;
mod frame;
mod server;

use axum::http::{Method, Request, Uri, uri::PathAndQuery};

#[cfg(feature = "fuzzing")]
pub(crate) use self::frame::again;
pub(crate) use self::server::router;
pub(super) use self::{
    client::{Lane, NoReply},
    frame::ReplyBody,
};

/// Where a lane is opened, and below it a long reply is fetched by its number.
const PATH: &str = "/_memgen/lane";

/// Bodies up to this length are short. It is what a connection can send in a moment in which nobody else waits for long.
pub(super) const SHORT_BYTES_MAX: usize = 64 << 10;

/// The target of a long reply.
pub(super) fn left_path(number: u64) -> Uri {
    let path = PathAndQuery::try_from(format!("{PATH}/{number}"));
    path.expect("a path with a number is one").into()
}

/// The request that opens a lane.
fn opening() -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = Method::POST;
    *head.uri_mut() = Uri::from_static(PATH);
    head
}

#[cfg(test)]
mod tests;
