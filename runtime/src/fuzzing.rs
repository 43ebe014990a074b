//! Doors for the fuzzer in `memgen-tests` to decoders that nobody else can reach from outside. Each reads bytes, and gives what it has read as bytes again: so the fuzzer sees whether
//! something was lost or changed on the way.

use axum::http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Config, State, config, feed, forward, problem::Problem, select, snapshot, stream,
    template::Template, tx,
};

/// The bytes of what was read, or why it can't be read.
pub type Again = Result<Vec<u8>, String>;

/// Reads one kind of message.
pub type Decoder = fn(&[u8]) -> Again;

/// What nodes send each other, by name.
pub const MESSAGES: &[(&str, Decoder)] = &[
    ("transaction", tx::message_again),
    ("committed", json::<tx::Committed>),
    ("vote", json::<tx::Vote>),
    ("fate", json::<tx::Fate>),
    ("events", stream::handed_again),
    ("taken", json::<stream::Taken>),
    ("selection", select::request_again),
    ("feed", feed::request_again),
    ("item", feed::item_again),
];

/// A snapshot of a partition of `S`, with all of its entities.
///
/// # Errors
/// Why it can't be used.
pub fn snapshot<S: State>(bytes: &[u8]) -> Again {
    snapshot::again::again::<S>(bytes)
}

/// The settings of `memgen.toml` with this text, and the text of one that says the same.
///
/// # Errors
/// What a user would read.
pub fn settings(text: &str) -> Result<(Config, String), String> {
    config::again::again(text)
}

/// What travels in a lane between two nodes.
///
/// # Errors
/// If it ends the lane.
pub fn lane(bytes: &[u8]) -> Again {
    forward::lane::again(bytes)
}

/// What a path has in the place of a name of its template. An error has the status of the answer.
///
/// # Errors
/// If it is no text.
pub fn value_in_path(template: &str, path: &str, name: &str) -> Result<String, StatusCode> {
    let template = Template::new(template);
    let value = template.value(path, name);
    Ok(value
        .map_err(|problem: Problem| problem.status())?
        .into_owned())
}

/// The path under which an entity is found.
pub fn path_of<S: State>(key: &S::Key) -> String {
    crate::crud::item_path::<S>(key)
}

pub(crate) fn json<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Again {
    let read: T = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    serde_json::to_vec(&read).map_err(|error| error.to_string())
}
