//! `memgen new` and `memgen upgrade`: projects that build, test themselves, and keep their users' lines.

use std::fs;

use memgen_tests::{
    Folder,
    project::{cargo_clean, memgen, runtime},
};

/// Makes a project, and holds it to what its own CI asks for.
fn check(template: &str) {
    let folder = Folder::new();
    let args = [
        "new",
        "my-project",
        "--template",
        template,
        "--memgen-path",
        &runtime(),
        "--yes",
    ];
    let (code, _, errors) = memgen(folder.path(), &args);
    assert_eq!(code, 0, "{errors}");
    let project = folder.path().join("my-project");
    for file in [
        "Cargo.toml",
        "README.md",
        "Dockerfile",
        ".dockerignore",
        "compose.yaml",
        ".gitignore",
        ".github/workflows/ci.yml",
        "memgen.toml",
        ".memgen/scaffold.json",
    ] {
        assert!(project.join(file).exists(), "{file}");
    }
    cargo_clean(&project, &["fmt", "--all", "--check"]);
    cargo_clean(
        &project,
        &["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"],
    );
    cargo_clean(&project, &["test", "--quiet"]);
    // Nothing is new.
    let (code, _, errors) = memgen(&project, &["upgrade", "--check"]);
    assert_eq!(code, 0, "{errors}");
    let (code, _, errors) = memgen(folder.path(), &args);
    assert_eq!(code, 1, "a folder that is in use is not touched");
    assert!(errors.contains("is there already"), "{errors}");
}

#[test]
fn the_template_service() {
    check("service");
}

#[test]
fn the_template_graph() {
    check("graph");
}

#[test]
fn the_template_openapi() {
    check("openapi");
}

#[test]
fn wrong_names_are_refused() {
    let folder = Folder::new();
    let long = "a".repeat(65);
    for name in ["", "1a", "a b", "fn", "test", "ä", "../x", "memgen", &long] {
        let (code, _, errors) = memgen(folder.path(), &["new", name, "--yes"]);
        assert_eq!(code, 2, "{name}");
        assert!(
            errors.contains("can't be the name of a crate"),
            "{name}: {errors}"
        );
    }
    let (code, _, errors) = memgen(folder.path(), &["new", "--yes"]);
    assert_eq!(code, 2);
    assert!(errors.contains("memgen new NAME"), "{errors}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_project_goes_where_it_is_told() {
    let folder = Folder::new();
    let here = folder.path().join("here");
    fs::create_dir(&here).expect("there is room");
    let (code, _, errors) = memgen(folder.path(), &["new", "shop", "--dir", "here", "--yes"]);
    assert_eq!(code, 0, "an empty folder is in nobody's use: {errors}");
    assert!(!folder.path().join("shop").exists());
    let remembered = fs::read(here.join(".memgen/scaffold.json")).expect("it is there");
    let remembered: serde_json::Value = serde_json::from_slice(&remembered).expect("it is JSON");
    assert_eq!(remembered["name"], "shop");
    assert_eq!(remembered["template"], "service", "nobody said another");
}

/// What an upgrade writes is also what the document says, by the overlay that the lock names.
#[test]
fn an_upgrade_generates_anew() {
    let folder = Folder::new();
    let run = |args: &[&str]| {
        let (code, out, errors) = memgen(folder.path(), args);
        (code, out + &errors)
    };
    let overlay = |title: &str| {
        let text = format!(
            "overlay: 1.0.0\ninfo: {{title: O, version: '1'}}\nactions: [{{target: $.info, update: {{title: {title}}}}}]\n"
        );
        fs::write(folder.path().join("overlay.yaml"), text).expect("there is room");
    };
    let (code, said) = run(&["new", "pad", "--template", "openapi", "--yes"]);
    assert_eq!(code, 0, "{said}");
    overlay("First");
    let generate = [
        "generate",
        "pad/openapi.yaml",
        "--out",
        "pad",
        "--overlay",
        "overlay.yaml",
    ];
    let (code, said) = run(&generate);
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(&["upgrade", "pad", "--check"]);
    assert_eq!(code, 0, "{said}");

    overlay("Second");
    let published = folder.path().join("pad/src/generated/openapi.json");
    let read = || fs::read_to_string(&published).expect("it is there");
    let (code, said) = run(&["upgrade", "pad", "--check"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("update src/generated/openapi.json"), "{said}");
    assert!(read().contains("First"), "nothing is written by --check");
    let (code, said) = run(&["upgrade", "pad"]);
    assert_eq!(code, 0, "{said}");
    assert!(read().contains("Second"));
    let (code, said) = run(&[&generate[..], &["--check"]].concat());
    assert_eq!(code, 0, "the commands agree: {said}");

    // The document itself may be what an upgrade changes.
    let read_from = |name: &str| {
        let text = fs::read_to_string(folder.path().join("pad").join(name));
        text.expect("it is there")
    };
    let mut remembered: serde_json::Value =
        serde_json::from_str(&read_from(".memgen/scaffold.json")).expect("it is JSON");
    let older = read_from("openapi.yaml").replace("Lists the notes.", "Lists them.");
    remembered["files"]["openapi.yaml"] = older.clone().into();
    for (name, text) in [
        (".memgen/scaffold.json", remembered.to_string()),
        ("openapi.yaml", older + "x-mine: 1\n"),
    ] {
        fs::write(folder.path().join("pad").join(name), text).expect("there is room");
    }
    let (code, said) = run(&["upgrade", "pad"]);
    assert_eq!(code, 0, "{said}");
    assert!(read_from("openapi.yaml").contains("x-mine: 1"));
    assert!(read().contains("Lists the notes.") && read().contains("x-mine"));
    let (code, said) = run(&["upgrade", "pad", "--check"]);
    assert_eq!(code, 0, "once is enough: {said}");
}

/// An older version's scaffold: what it wrote then is what the project remembers.
#[test]
fn an_upgrade_keeps_the_lines_of_the_user() {
    let folder = Folder::new();
    let (code, _, errors) = memgen(folder.path(), &["new", "shop", "--yes"]);
    assert_eq!(code, 0, "{errors}");
    let project = folder.path().join("shop");
    let read = |name: &str| fs::read_to_string(project.join(name)).expect("it is there");
    let write =
        |name: &str, text: &str| fs::write(project.join(name), text).expect("it can be written");
    // The version that made it had other lines in some files.
    let mut remembered: serde_json::Value =
        serde_json::from_str(&read(".memgen/scaffold.json")).expect("it is JSON");
    let new = read("Dockerfile");
    let old = new.replace("FROM rust:1 AS build", "FROM rust:1.0-old AS build");
    assert_ne!(old, new);
    for (name, text) in [
        ("Dockerfile", old.as_str()),
        (".dockerignore", "/old\n"),
        ("README.md", "# Old\n"),
    ] {
        remembered["files"][name] = text.into();
        write(name, text);
    }
    let old_toml = read("memgen.toml").replace("data = \"data\"", "data = \"old\"");
    remembered["files"]["memgen.toml"] = old_toml.clone().into();
    // The project depends on that version, and on something of the user's.
    let manifest = read("Cargo.toml");
    let runtime = manifest.lines().find(|line| line.starts_with("memgen = "));
    let runtime = runtime.expect("it depends on the runtime").to_owned();
    let old_manifest = manifest.replace(&runtime, "memgen = \"0.0.1\"");
    let mine = |manifest: &str| {
        manifest.replace("[dev-dependencies]", "mine = \"1\"\n\n[dev-dependencies]")
    };
    assert_ne!(mine(&old_manifest), old_manifest);
    remembered["files"]["Cargo.toml"] = old_manifest.clone().into();
    write("Cargo.toml", &mine(&old_manifest));
    remembered["source"] = serde_json::json!({ "version": "0.0.1" });
    remembered["memgen"] = "0.0.1".into();
    write(".memgen/scaffold.json", &remembered.to_string());
    // The user has added a line in a checkout with other line ends, changed the same line, and removed a file.
    let dos = |text: &str| text.replace('\n', "\r\n");
    write("Dockerfile", &dos(&format!("{old}# mine\n")));
    write("memgen.toml", &old_toml.replace("\"old\"", "\"mine\""));
    fs::remove_file(project.join("README.md")).expect("it is there");

    let (code, diff, _) = memgen(&project, &["upgrade", "--diff"]);
    assert_eq!(code, 0);
    assert!(diff.contains("+FROM rust:1 AS build"), "{diff}");
    let (code, ..) = memgen(&project, &["upgrade", "--check"]);
    assert_eq!(code, 4);
    assert_eq!(
        read("Dockerfile"),
        dos(&format!("{old}# mine\n")),
        "nothing is written by --check"
    );

    let (code, _, errors) = memgen(&project, &["upgrade"]);
    assert_eq!(code, 1, "a conflict needs a person: {errors}");
    assert_eq!(read("Dockerfile"), dos(&format!("{new}# mine\n")));
    assert!(!read(".dockerignore").contains("/old"));
    assert_eq!(read("Cargo.toml"), mine(&manifest));
    assert_eq!(
        read("memgen.toml"),
        old_toml.replace("\"old\"", "\"mine\""),
        "marks are put beside it only"
    );
    let merge = read("memgen.toml.memgen-merge");
    assert!(
        merge.contains("data = \"mine\"") && merge.contains("data = \"data\""),
        "{merge}"
    );
    assert!(!project.join("README.md").exists());
    assert!(
        errors.contains("README.md was removed, and stays so"),
        "{errors}"
    );

    // A merge that somebody is at is not overwritten.
    write("memgen.toml.memgen-merge", "half done\n");
    let mut older = remembered.clone();
    older["files"]["memgen.toml"] = "data = \"older\"\n".into();
    let scaffold = read(".memgen/scaffold.json");
    write(".memgen/scaffold.json", &older.to_string());
    let (code, _, errors) = memgen(&project, &["upgrade"]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("memgen.toml.memgen-merge is left of another upgrade"),
        "{errors}"
    );
    assert_eq!(read("memgen.toml.memgen-merge"), "half done\n");
    write(".memgen/scaffold.json", &scaffold);

    fs::remove_file(project.join("memgen.toml.memgen-merge")).expect("it is there");
    let (code, _, errors) = memgen(&project, &["upgrade"]);
    assert_eq!(code, 0, "what was said once is not said again: {errors}");
    assert!(errors.contains("up to date"), "{errors}");
}
