//! Each golden of the macros compiles as it stands, and so does its source, in a crate that forbids what users forbid.
//!
//! What a golden is, and how it is written anew: `macros/src/expand/tests.rs`.

#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]
#![deny(clippy::pedantic)]

// All of it is public, so that the lints on public items look at what the macros emit, too.
macro_rules! sources {
    ($($path:literal as $name:ident;)*) => {$(
        #[path = $path]
        #[allow(dead_code, reason = "only what the macros emit is in question")]
        pub mod $name;
    )*};
}

// As text, an expansion has lost the spans by which clippy tells it from what a person wrote.
macro_rules! goldens {
    ($($path:literal as $name:ident;)*) => {$(
        #[path = $path]
        #[allow(dead_code, unused_imports, clippy::all, clippy::pedantic, reason = "nobody wrote this by hand")]
        pub mod $name;
    )*};
}

sources! {
    "../expand/state.rs" as state;
    "../expand/state_composite.rs" as state_composite;
    "../expand/state_global.rs" as state_global;
    "../expand/state_migrated.rs" as state_migrated;
    "../expand/handlers.rs" as handlers;
    "../expand/handler.rs" as handler;
    "../expand/event.rs" as event;
    "../expand/external.rs" as external;
    "../expand/hygiene.rs" as hygiene;
}

goldens! {
    "../expand/state.expanded.rs" as state_expanded;
    "../expand/state_composite.expanded.rs" as state_composite_expanded;
    "../expand/state_global.expanded.rs" as state_global_expanded;
    "../expand/state_migrated.expanded.rs" as state_migrated_expanded;
    "../expand/handlers.expanded.rs" as handlers_expanded;
    "../expand/handler.expanded.rs" as handler_expanded;
    "../expand/event.expanded.rs" as event_expanded;
    "../expand/external.expanded.rs" as external_expanded;
    "../expand/hygiene.expanded.rs" as hygiene_expanded;
}
