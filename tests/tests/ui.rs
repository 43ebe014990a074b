//! Wrong programs, by topic: `tests/ui/<topic>/<mistake>.rs`, and what the user is told beside it.
//!
//! `TRYBUILD=overwrite cargo test -p memgen-tests --test ui` writes the messages anew; read them before they are committed.

// Right programs are parts of this test: as cases of trybuild they would make it generate code for all dependencies once more.
macro_rules! pass {
    ($($path:literal as $name:ident;)*) => {$(
        #[path = $path]
        #[allow(dead_code, unused_imports, unreachable_pub, reason = "a program of its own")]
        mod $name;
    )*};
}

pass! {
    "../ui/pass/service.rs" as service;
    "../ui/pass/strict_crate.rs" as strict_crate;
    "../ui/pass/derive_above_the_attribute.rs" as derive_above_the_attribute;
}

#[test]
fn wrong_programs() {
    // One project for all, so that the runtime is checked once.
    let cases = trybuild::TestCases::new();
    for topic in [
        "attribute",
        "partitions",
        "crud",
        "ack",
        "topic",
        "path",
        "key",
        "item",
        "handlers",
        "signature",
        "arguments",
        "replies",
        "free",
        "document",
        "many",
        "migrate",
        "transaction",
        "event",
        "external",
    ] {
        cases.compile_fail(format!("ui/{topic}/*.rs"));
    }
}
