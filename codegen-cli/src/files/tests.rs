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
            "so does what is no text",
            |root| fs::write(root.join("src/generated/mod.rs"), b"\xFF\xFE").unwrap(),
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
            "so does one before the lock, though the document changed once more",
            |root| {
                fs::write(root.join("src/generated/openapi.json"), "[]").unwrap();
                let lock = fs::read_to_string(root.join("memgen.lock")).unwrap();
                let staged = lock.replace(&checksum("{}\n"), &checksum("[]"));
                assert_ne!(staged, lock);
                fs::create_dir(root.join(STAGING)).unwrap();
                fs::write(root.join(STAGING).join("memgen.lock"), staged).unwrap();
            },
            same,
            false,
            Ok(vec!["update src/generated/openapi.json"]),
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
        let rest = all_files(root);
        let staged = |path: &PathBuf| path.components().any(|part| part.as_os_str() == STAGING);
        assert!(!rest.iter().any(staged), "{what}: {rest:?}");
    }
}

/// A trait stays, without methods, as long as the user's file is there; then both are gone. A file beside is nobody's business.
#[test]
fn a_handler_without_its_tag_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let with_tag = |text: &str| {
        let mut files = crate_files();
        let path = "src/generated/pets.rs";
        files.push(file(path, text, Owner::Generator));
        files
    };
    let all = with_tag("#[operations]\npub trait PetsApi {\n    async fn feed();\n}\n");
    plan_of(root, all, false).unwrap().apply().unwrap();
    // What is the user's alone is no tag.
    fs::create_dir(root.join("src/handlers/pets")).unwrap();
    for own in ["own.rs", "pets/helpers.rs"] {
        fs::write(root.join("src/handlers").join(own), "pub trait Own {}\n").unwrap();
    }
    let pets = KnownTag {
        module: "pets".to_owned(),
        api: "PetsApi".to_owned(),
    };
    let mut rest = with_tag("#[operations]\npub trait PetsApi {}\n");
    rest.retain(|file| file.path != "src/handlers/pets.rs");
    for changes_again in [vec!["update src/generated/pets.rs"], vec![]] {
        assert_eq!(known_tags(root).unwrap(), std::slice::from_ref(&pets));
        let plan = plan_of(root, rest.clone(), false).unwrap();
        assert_eq!(plan.left, ["src/handlers/pets.rs"]);
        assert_eq!(changes(&plan), changes_again);
        plan.apply().unwrap();
    }
    fs::remove_file(root.join("src/handlers/pets.rs")).unwrap();
    assert_eq!(known_tags(root).unwrap(), []);
    rest.pop();
    for changes_again in [vec!["remove src/generated/pets.rs"], vec![]] {
        let plan = plan_of(root, rest.clone(), false).unwrap();
        assert_eq!(changes(&plan), changes_again);
        assert_eq!(plan.left, [""; 0]);
        plan.apply().unwrap();
    }
}

/// All files in a folder and those within.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let inside = entries.flat_map(|entry| match entry.path() {
        folder if folder.is_dir() => all_files(&folder),
        file => vec![file],
    });
    inside.collect()
}

/// A folder that can't be written to is as it was.
#[test]
fn what_fails_changes_nothing() {
    // In the place of a folder there is a file: it is seen before anything is written, or when it comes later, too.
    for early in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let types = root.join("src/generated/types");
        let stand_in_the_way = || {
            fs::create_dir_all(root.join("src/generated")).unwrap();
            fs::write(&types, "").unwrap();
        };
        if early {
            stand_in_the_way();
        }
        let plan = plan_of(root, crate_files(), false);
        if !early {
            stand_in_the_way();
        }
        let error = plan.and_then(|plan| plan.apply()).unwrap_err();
        assert!(error.to_string().contains("types"), "{error}");
        assert_eq!(all_files(root), [types], "{early}");
    }
}

/// Folders of generated files go with the last of them, and never with somebody else's.
#[test]
fn only_empty_folders_are_removed() {
    for mine in [None, Some("mine.txt")] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let apply = |files| plan_of(root, files, false).unwrap().apply().unwrap();
        apply(crate_files());
        let types = root.join("src/generated/types");
        if let Some(mine) = mine {
            fs::write(types.join(mine), "mine").unwrap();
        }
        let mut files = crate_files();
        files.retain(|file| !file.path.contains("types"));
        apply(files);
        assert!(!types.join("a.rs").exists());
        assert_eq!(types.exists(), mine.is_some());
        assert!(mine.is_none_or(|mine| types.join(mine).exists()));
    }
}

#[test]
fn a_change_is_shown() {
    let rows = [
        (
            Some("1\n2\n"),
            Some("1\n3\n"),
            "--- a/a.rs\n+++ b/a.rs\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n",
        ),
        (
            None,
            Some("1\n"),
            "--- /dev/null\n+++ b/a.rs\n@@ -0,0 +1 @@\n+1\n",
        ),
        (
            Some("1\n"),
            None,
            "--- a/a.rs\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n",
        ),
    ];
    for (before, after, expected) in rows {
        let change = Change {
            path: "a.rs".to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        assert_eq!(change.diff(), expected);
    }
}

/// What a run that was killed left is gone after the next one.
#[test]
fn nothing_is_left_beside_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join(STAGING).join("src")).unwrap();
    fs::write(root.join(STAGING).join("src/old.rs"), "old").unwrap();
    let plan = plan_of(root, crate_files(), false).unwrap();
    plan.apply().unwrap();
    assert!(!root.join(STAGING).exists());
    assert!(root.join("src/generated/mod.rs").exists());
}
