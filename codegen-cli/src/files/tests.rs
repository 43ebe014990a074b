use super::*;

fn file(path: &str, text: &str, owner: Owner) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
        owner,
    }
}

fn crate_files() -> Vec<File> {
    vec![
        file("Cargo.toml", "[package]\n", Owner::User),
        file("src/generated/mod.rs", "pub mod types;\n", Owner::Generator),
        file("src/generated/openapi.json", "{}\n", Owner::Generator),
        file("src/generated/types/a.rs", "struct A;\n", Owner::Generator),
        file("src/handlers/pets.rs", "struct Handlers;\n", Owner::User),
    ]
}

fn plan_of(root: &Path, files: Vec<File>, force: bool) -> Result<Plan, Error> {
    let lock = |openapi| {
        Lock::new(
            "a.yaml".to_owned(),
            "0".to_owned(),
            openapi,
            lock::Options::default(),
        )
    };
    plan(root, files, lock, force)
}

fn changes(plan: &Plan) -> Vec<String> {
    plan.changes.iter().map(Change::to_string).collect()
}

/// What was done to a crate, what is generated then, and what becomes of it.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn only_what_is_the_generators_changes() {
    type Do = fn(&Path);
    type Want = fn(&mut Vec<File>);
    type Row = (
        &'static str,
        Do,
        Want,
        bool,
        Result<Vec<&'static str>, &'static str>,
    );
    let nothing: Do = |_| {};
    let same: Want = |_| {};
    let all = [
        "update src/generated/openapi.json",
        "update src/generated/types/a.rs",
    ];
    let rows: Vec<Row> = vec![
        ("again", nothing, same, false, Ok(vec![])),
        (
            "a user's file is written once",
            |root| fs::write(root.join("src/handlers/pets.rs"), "mine").unwrap(),
            |files| files[0].text.push('x'),
            false,
            Ok(vec![]),
        ),
        (
            "a document that changed",
            nothing,
            |files| {
                files[2].text = "{ }\n".to_owned();
                files[3].text = "struct B;\n".to_owned();
            },
            false,
            Ok([&all[..], &["update memgen.lock"]].concat()),
        ),
        (
            "a tag that is gone",
            nothing,
            |files| files.truncate(3),
            false,
            Ok(vec!["remove src/generated/types/a.rs"]),
        ),
        (
            "what was edited stays",
            |root| {
                let path = root.join("src/generated/mod.rs");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, text + "// mine\n").unwrap();
            },
            same,
            false,
            Err("mod.rs was edited"),
        ),
        (
            "or is given up",
            |root| {
                let path = root.join("src/generated/mod.rs");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, text + "// mine\n").unwrap();
            },
            same,
            true,
            Ok(vec!["update src/generated/mod.rs"]),
        ),
        (
            "an edited file that is to be removed stays",
            |root| {
                let path = root.join("src/generated/types/a.rs");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, text + "// mine\n").unwrap();
            },
            |files| files.truncate(3),
            false,
            Err("a.rs was edited"),
        ),
        (
            "an edited document stays",
            |root| fs::write(root.join("src/generated/openapi.json"), "{}").unwrap(),
            same,
            false,
            Err("openapi.json was edited"),
        ),
        (
            "somebody else's file stays, even with force",
            |root| fs::write(root.join("src/generated/mod.rs"), "// mine\n").unwrap(),
            same,
            true,
            Err("mod.rs was not written by memgen"),
        ),
        (
            "and is no business of ours elsewhere",
            |root| fs::write(root.join("src/generated/mine.rs"), "// mine\n").unwrap(),
            same,
            true,
            Ok(vec![]),
        ),
        (
            "line ends of Windows are no edit",
            |root| {
                for path in [
                    "src/generated/mod.rs",
                    "src/generated/openapi.json",
                    "memgen.lock",
                ] {
                    let path = root.join(path);
                    let text = fs::read_to_string(&path).unwrap();
                    fs::write(path, text.replace('\n', "\r\n")).unwrap();
                }
            },
            same,
            false,
            Ok(vec![]),
        ),
        (
            "a run that was cut short goes on",
            |root| fs::remove_file(root.join("src/generated/mod.rs")).unwrap(),
            same,
            false,
            Ok(vec!["create src/generated/mod.rs"]),
        ),
        (
            "without the lock, the document is nobody's unless it is the same",
            |root| {
                fs::remove_file(root.join("memgen.lock")).unwrap();
                fs::write(root.join("src/generated/openapi.json"), "{ }").unwrap();
            },
            same,
            true,
            Err("openapi.json was not written"),
        ),
        (
            "a lost lock comes back",
            |root| fs::remove_file(root.join("memgen.lock")).unwrap(),
            same,
            false,
            Ok(vec!["create memgen.lock"]),
        ),
        (
            "a lock from the future is refused",
            |root| fs::write(root.join("memgen.lock"), "version = 99").unwrap(),
            same,
            true,
            Err("newer memgen"),
        ),
    ];
    for (what, first, want, force, expected) in rows {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        plan_of(root, crate_files(), false)
            .unwrap()
            .apply()
            .unwrap();
        first(root);
        let mut files = crate_files();
        want(&mut files);
        let outcome = plan_of(root, files.clone(), force);
        match (outcome, expected) {
            (Ok(plan), Ok(expected)) => {
                assert_eq!(changes(&plan), expected, "{what}");
                plan.apply().unwrap();
                let again = plan_of(root, files, false).unwrap();
                assert_eq!(changes(&again), [""; 0], "{what}, again");
            }
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(error.contains(part), "{what}: {error}");
            }
            (outcome, expected) => panic!("{what}: {outcome:?}, not {expected:?}"),
        }
        let rest = list(root, "src").unwrap();
        assert!(rest.iter().all(|path| !path.contains("tmp")), "{rest:?}");
    }
}

#[test]
fn a_handler_without_its_tag_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    plan_of(folder.path(), crate_files(), false)
        .unwrap()
        .apply()
        .unwrap();
    let mut files = crate_files();
    files.pop();
    let plan = plan_of(folder.path(), files, false).unwrap();
    assert_eq!(plan.left, ["src/handlers/pets.rs"]);
    assert!(plan.is_empty());
}

/// A folder that can't be written to is as it was.
#[test]
fn what_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // In the place of a folder there is a file.
    fs::create_dir_all(root.join("src/generated")).unwrap();
    fs::write(root.join("src/generated/types"), "").unwrap();
    let error = plan_of(root, crate_files(), false)
        .and_then(|plan| plan.apply())
        .unwrap_err();
    assert!(error.to_string().contains("types"), "{error}");
    assert!(!root.join("Cargo.toml").exists());
    assert_eq!(list(root, "src").unwrap(), [""; 0]);
}

#[test]
fn a_change_is_shown() {
    let change = Change {
        path: "a.rs".to_owned(),
        before: Some("1\n2\n".to_owned()),
        after: Some("1\n3\n".to_owned()),
    };
    assert_eq!(
        change.diff(),
        "--- a/a.rs\n+++ b/a.rs\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"
    );
}
