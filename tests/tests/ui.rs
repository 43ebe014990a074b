//! Wrong programs, by topic: `tests/ui/<topic>/<mistake>.rs`, and what the user is told beside it.
//!
//! `TRYBUILD=overwrite cargo test -p memgen-tests --test ui` writes the messages anew; read them before they are committed.

#[test]
fn ui() {
    // One project for all, so that the runtime is compiled once.
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    for topic in [
        "attribute",
        "partitions",
        "crud",
        "topic",
        "path",
        "key",
        "item",
        "handlers",
        "signature",
        "arguments",
        "replies",
        "free",
        "many",
    ] {
        cases.compile_fail(format!("ui/{topic}/*.rs"));
    }
}
