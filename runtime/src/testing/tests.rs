#![allow(clippy::unwrap_used)] // the whole file is a test

mod external;
mod whole_nodes;
