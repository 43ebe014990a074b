//! Each golden of the macros compiles as it stands, and so does its source, in a crate that forbids what users forbid.
//!
//! What a golden is, and how it is written anew: `macros/src/expand/tests.rs`.

#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]
#![deny(clippy::pedantic)]

// All of it is public, so that the lints on public items look at what the macros emit, too.
macro_rules! compiled {
    ($($name:ident: $source:literal, $golden:literal;)*) => {$(
        #[allow(missing_docs, reason = "a place for one golden")]
        pub mod $name {
            #[path = $source]
            #[allow(dead_code, reason = "only what the macros emit is in question")]
            pub mod source;
            #[path = $golden]
            #[allow(dead_code, reason = "only what the macros emit is in question")]
            pub mod golden;
        }
    )*};
}

compiled! {
    state: "../../../expand/state.rs", "../../../expand/state.expanded.rs";
    state_composite: "../../../expand/state_composite.rs", "../../../expand/state_composite.expanded.rs";
    state_global: "../../../expand/state_global.rs", "../../../expand/state_global.expanded.rs";
    handlers: "../../../expand/handlers.rs", "../../../expand/handlers.expanded.rs";
    handler: "../../../expand/handler.rs", "../../../expand/handler.expanded.rs";
    hygiene: "../../../expand/hygiene.rs", "../../../expand/hygiene.expanded.rs";
}
