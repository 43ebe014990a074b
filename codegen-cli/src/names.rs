//! Names in the habits of Rust.
