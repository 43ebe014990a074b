//! The command `memgen`, on a running service.

use std::process::{Command, Output};

use memgen_tests::{Service, binaries::binary};
use serde_json::Value;

fn memgen(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(binary("memgen"))
        .args(args)
        .output()
        .expect("the command is built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn status() {
    let running = Service::new("graph").start().await;
    running.client().post_empty("/connect/1/2").await;
    let admin = running.addresses("admin").remove(0);
    let (code, table, errors) = memgen(&["status", "--admin", &admin]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(table.starts_with("graph "), "{table}");
    assert_eq!(table.matches(" serving ").count(), 9, "{table}");

    let (code, json, _) = memgen(&["status", "--json", "--admin", &admin]);
    assert_eq!(code, Some(0));
    let json: Value = serde_json::from_str(&json).expect("it prints JSON");
    assert_eq!(json["ready"], true);

    // The API's address is not the admin's.
    let (code, _, errors) = memgen(&["status", "--admin", running.client().base()]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("404"), "{errors}");
}

#[test]
fn mistakes_have_exit_codes() {
    let rows: [(&[&str], i32, &str); 5] = [
        (
            &["status", "--admin", "http://127.0.0.1:1"],
            1,
            "can't reach http://127.0.0.1:1",
        ),
        (
            &["status", "--admin", "ftp://x"],
            2,
            "expected http://HOST:PORT",
        ),
        (&["status", "--no-such-flag"], 2, "--no-such-flag"),
        (&["no-such-command"], 2, "no-such-command"),
        (&[], 2, "Usage"),
    ];
    for (args, expected, named) in rows {
        let (code, _, errors) = memgen(args);
        assert_eq!(code, Some(expected), "{args:?}: {errors}");
        assert!(errors.contains(named), "{args:?}: {errors}");
    }
    let (code, version, _) = memgen(&["--version"]);
    assert_eq!((code, version.starts_with("memgen ")), (Some(0), true));
}
