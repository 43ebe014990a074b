//! The command `memgen`: on a running service, and what it says of itself.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use axum::{Json, Router};
use memgen_tests::{Folder, Service, binaries::binary, project};
use serde_json::{Value, json};
use tokio::net::TcpListener;

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

#[tokio::test(flavor = "multi_thread")]
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

    // A node that is not ready is shown, and has its own exit code.
    let mut waiting = json;
    waiting["ready"] = false.into();
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("there is a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let node = Router::new().fallback(|| async move { Json(waiting) });
    let node = tokio::spawn(axum::serve(listener, node).into_future());
    for more in [&[][..], &["--json"]] {
        let (code, out, errors) = memgen(&[&["status", "--admin", &address], more].concat());
        assert_eq!(code, Some(3), "{errors}");
        assert!(out.contains("graph"), "{out}");
    }
    node.abort();

    // The API's address is not the admin's.
    let (code, _, errors) = memgen(&["status", "--admin", running.client().base()]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("404"), "{errors}");
}

/// What a partition's log holds, by the service that is on it, while it runs and afterwards.
#[tokio::test]
async fn a_log_is_dumped_replayed_and_compared() {
    let service = Service::new("register");
    let running = service.start().await;
    let client = running.client();
    for value in [1, 2] {
        client.put("/r/7", &json!({ "value": value })).await;
    }
    let counted = client
        .request("POST", "/r/7/add")
        .header("idempotency-key", "once")
        .json(&json!({"by": 40}));
    counted.send().await;
    let admin = running.addresses("admin").remove(0);
    let status = running.admin().get("/status").await.json();
    let partitions = status["partitions"].as_array().expect("partitions").iter();
    let mut with_key = partitions.filter(|partition| partition["keys"] == 1);
    let partition = with_key.next().expect("the key is somewhere").clone();
    let number = partition["partition"].to_string();
    let data = service.data().to_str().expect("a plain path").to_owned();
    let program = binary("register");
    let log = |action: &str, more: &[&str], data: &str| {
        let program = program.to_str().expect("a plain path");
        let mut args = vec!["log", action, "register", &number, "--program", program];
        args.extend(more);
        args.extend(["--", "--data", data]);
        memgen(&args)
    };

    let (code, lines, errors) = log("dump", &[], &data);
    assert_eq!(code, Some(0), "{errors}");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert!(lines.iter().all(|line| line["counts"] == true), "{lines:?}");
    let values = lines.iter().filter(|line| line["key"] == "7");
    let values: Vec<&Value> = values.map(|line| &line["value"]["value"]).collect();
    assert_eq!(values, [1, 2, 42]);
    let answers: Vec<&Value> = lines.iter().map(|line| &line["answers"]).collect();
    assert!(answers.contains(&&json!("once")), "{lines:?}");

    let (code, verified, errors) = log("verify", &["--format", "json"], &data);
    assert_eq!(code, Some(0), "{errors}");
    let verified: Value = serde_json::from_str(&verified).expect("it is JSON");
    for (field, expected) in [
        ("digest", partition["digest"].clone()),
        ("position", partition["position"].clone()),
        ("keys", json!(1)),
        ("answers", json!(1)),
        ("to_repair", json!(0)),
    ] {
        assert_eq!(verified[field], expected, "{field}: {verified}");
    }
    let (code, text, errors) = log("verify", &[], &data);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains("1 keys at position"), "{text}");
    let (code, _, said) = log("diff", &["--admin", &admin], &data);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 key in the log and at node"), "{said}");

    // The log of another service, which has as many records.
    let other = Service::new("register");
    let beside = other.start().await;
    for value in [1, 2, 3] {
        beside
            .client()
            .put("/r/7", &json!({ "value": value }))
            .await;
    }
    let data_beside = other.data().to_str().expect("a plain path").to_owned();
    let (code, _, said) = log("diff", &["--admin", &admin], &data_beside);
    assert_eq!(code, Some(1), "{said}");
    let digest = partition["digest"].as_str().expect("text");
    assert!(said.contains(digest), "{said}");
    assert!(said.contains("memgen log dump register"), "{said}");

    drop(running);
    let (code, again, errors) = log("verify", &["--format", "json"], &data);
    assert_eq!(code, Some(0), "{errors}");
    let again: Value = serde_json::from_str(&again).expect("it is JSON");
    assert_eq!(again["digest"], verified["digest"]);

    let (code, _, errors) = log("verify", &[], "/dev/null/nothing");
    assert_eq!(code, Some(1), "{errors}");
    let nowhere = Folder::new();
    let nowhere = nowhere.path().to_str().expect("a plain path").to_owned();
    let (code, _, errors) = log("dump", &[], &nowhere);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("has not run with it yet"), "{errors}");
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

#[test]
fn shells_and_manuals() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, text, errors) = memgen(&["completions", shell]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{shell}");
        for word in ["memgen", "inspect", "overlay"] {
            assert!(text.contains(word), "{shell} knows no {word}");
        }
    }
    let (code, page, _) = memgen(&["man"]);
    assert_eq!(code, Some(0));
    for part in [
        ".TH memgen 1",
        ".SH OPTIONS",
        "Exit codes",
        "files are not what they should be",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let folder = Folder::new();
    let pages = folder.path().join("pages");
    let (code, ..) = memgen(&["man", "--dir", &pages.display().to_string()]);
    assert_eq!(code, Some(0));
    let (_, help, _) = memgen(&["--help"]);
    let commands = help.split("Commands:").nth(1).expect("it has commands");
    let commands = commands.split("Options:").next().expect("and options");
    let names = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"generate"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let page = fs::read_to_string(pages.join(format!("memgen-{name}.1")));
        assert!(
            page.is_ok_and(|page| page.contains(".SH SYNOPSIS")),
            "{name}"
        );
    }
}

/// Whoever reads may stop at any time: `memgen inspect … | head`.
#[test]
fn a_reader_that_leaves_is_no_failure() {
    let document = project::repository().join("examples/petstore/openapi.yaml");
    let document = document.display().to_string();
    let rows: [&[&str]; 4] = [
        &["inspect", &document],
        &["inspect", &document, "--format", "json"],
        &["completions", "bash"],
        &["man"],
    ];
    for args in rows {
        let mut process = Command::new(binary("memgen"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command is built");
        drop(process.stdout.take());
        let output = process.wait_with_output().expect("it is ours");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), said.as_ref()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

/// How much is said, and in which colours; results are on stdout in any case.
#[test]
fn what_is_said() {
    let folder = Folder::new();
    let document = folder.path().join("openapi.yaml");
    let mut text =
        String::from("openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths: {}\nnonsense: 1\n");
    fs::write(&document, &text).expect("there is room");
    let run = |args: &[&str], no_color: &str| {
        let output = Command::new(binary("memgen"))
            .args(args)
            .current_dir(folder.path())
            .env("NO_COLOR", no_color)
            .output()
            .expect("the command is built");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let generate = ["generate", "openapi.yaml", "--out", "out"];
    let with = |more: &[&'static str]| [&generate[..], more].concat();

    let (code, out, said) = run(&with(&["--dry-run"]), "");
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("create src/main.rs\n"), "{out}");
    let (code, diff, _) = run(&with(&["--diff"]), "");
    assert_eq!(code, Some(0));
    assert!(
        diff.contains("--- /dev/null\n+++ b/src/main.rs\n"),
        "{diff}"
    );
    let (code, listed, _) = run(&with(&["--check"]), "");
    assert_eq!((code, listed), (Some(4), out), "what would be written");
    assert!(
        !folder.path().join("out").exists(),
        "none of them writes anything"
    );
    assert!(
        said.contains("nonsense") && !said.contains('\x1b'),
        "{said}"
    );
    let (_, _, said) = run(&with(&["--dry-run", "--color", "always"]), "1");
    assert!(said.contains("\x1b[1;33mwarning\x1b[0m"), "{said}");
    let (_, _, said) = run(&with(&["--dry-run", "--color", "never"]), "");
    assert!(!said.contains('\x1b'), "{said}");
    let (code, out, said) = run(&with(&["--quiet"]), "");
    assert_eq!((code, out.as_str(), said.as_str()), (Some(0), "", ""));
    let (code, _, said) = run(&with(&["--check", "-q"]), "");
    assert_eq!((code, said.as_str()), (Some(0), ""));

    // The same document, in other bytes.
    text.push_str("# a comment\n");
    fs::write(&document, &text).expect("there is room");
    let (code, out, said) = run(&with(&["--check", "-q"]), "");
    assert_eq!(
        (code, out.as_str()),
        (Some(4), "update memgen.lock\n"),
        "{said}"
    );

    // What is out of date has its own exit code; errors are said in any case.
    text.push_str("tags: [{name: new}]\n");
    fs::write(&document, &text).expect("there is room");
    let (code, out, said) = run(&with(&["--check", "-q"]), "");
    assert_eq!(code, Some(4), "{said}");
    assert!(
        out.contains("update memgen.lock\n") && said.starts_with("error: "),
        "{out}{said}"
    );
    // What was edited has it, too, and what belongs to nothing any more is told of.
    let operation = "paths: {/pets: {get: {tags: [pets], responses: {'200': {description: ''}}}}}";
    let with_tag = text.replace("paths: {}", operation);
    fs::write(&document, with_tag).expect("there is room");
    let (code, _, said) = run(&with(&["--quiet"]), "");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    fs::write(&document, &text).expect("there is room");
    let (_, _, said) = run(&with(&["--dry-run"]), "");
    assert!(
        said.contains("src/handlers/pets.rs belongs to no tag"),
        "{said}"
    );
    let generated = folder.path().join("out/src/generated/mod.rs");
    let edited = fs::read_to_string(&generated).expect("it is there") + "// mine\n";
    fs::write(&generated, edited).expect("there is room");
    let (code, _, said) = run(&with(&["--check", "-q"]), "");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("src/generated/mod.rs was edited"), "{said}");
    let (code, ..) = run(&generate, "");
    assert_eq!(code, Some(1), "nothing is written over it");
}

/// The options of a run are in the lock, and the same input is the same bytes.
#[test]
fn the_lock_has_the_options() {
    let runtime = project::runtime();
    let make = || {
        let folder = Folder::new();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("api/changes")).expect("there is room");
        fs::write(
            path("api/openapi.yaml"),
            "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths: {}\n",
        )
        .expect("there is room");
        fs::write(path("api/changes/one.yaml"), "overlay: 1.0.0\ninfo: {title: O, version: '1'}\nactions: [{target: $.info, update: {title: U}}]\n").expect("there is room");
        folder
    };
    let run = |folder: &Folder, args: &[&str]| {
        let (code, out, errors) = project::memgen(folder.path(), args);
        assert!(code == 0 || code == 4, "{out}{errors}");
        (
            code,
            fs::read_to_string(folder.path().join("services/shop/memgen.lock"))
                .expect("it is there"),
        )
    };
    let args = [
        "generate",
        "api/openapi.yaml",
        "--out",
        "services/shop",
        "--overlay",
        "api/changes/one.yaml",
        "--name",
        "corner-shop",
        "--memgen-git",
        "https://host/memgen",
    ];
    let (one, other) = (make(), make());
    let (_, lock) = run(&one, &args);
    assert_eq!(run(&other, &args).1, lock, "same input, same bytes");
    for line in [
        "document = \"../../api/openapi.yaml\"",
        "overlay = \"../../api/changes/one.yaml\"",
        "name = \"corner-shop\"",
        "memgen_git = \"https://host/memgen\"",
    ] {
        assert!(lock.lines().any(|it| it == line), "{line}: {lock}");
    }
    // What a crate was made with is remembered, from wherever it is generated; the overlay is a part of the input.
    let again = [
        "generate",
        "../../api/openapi.yaml",
        "--out",
        ".",
        "--overlay",
        "../../api/changes/one.yaml",
        "--check",
    ];
    let (code, out, errors) = project::memgen(&one.path().join("services/shop"), &again);
    assert_eq!(code, 0, "{out}{errors}");
    let (code, _) = run(
        &one,
        &[
            "generate",
            "api/openapi.yaml",
            "--out",
            "services/shop",
            "--check",
        ],
    );
    assert_eq!(code, 4, "without the overlay it is another crate");
    let (_, moved) = run(
        &one,
        &[
            "generate",
            "api/openapi.yaml",
            "--out",
            "services/shop",
            "--memgen-path",
            &runtime,
        ],
    );
    assert!(
        moved.contains("memgen_path = \"")
            && !moved.contains("memgen_git")
            && !moved.contains("overlay"),
        "{moved}"
    );
}
