#![allow(clippy::unwrap_used)] // the whole file is a test

mod whole_nodes;
