#![allow(clippy::unwrap_used)] // the whole file is a test

mod events;
mod external;
mod machines;
mod whole_nodes;
