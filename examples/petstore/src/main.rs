//! The service Petstore: `cargo run -- --help` shows its settings.
//!
//! What the document says is in `generated`; [`photos`] is a state that no document describes.

#![forbid(unsafe_code)]

mod generated;
mod photos;

fn main() -> std::process::ExitCode {
    generated::service()
        .and(memgen::service!(photos::Picture))
        .main()
}
