//! `memgen check`, and the same check before a service starts: what an earlier version has written stays readable, or is refused with words.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use memgen_tests::{
    Running, Service,
    binaries::binary,
    folder::files,
    project,
    versions::{FIRST, Versions},
};
use serde_json::{Value, json};

/// What `memgen check` and a service that is refused end with.
const INCOMPATIBLE: i32 = 5;
const OUT_OF_DATE: i32 = 4;

/// A package of versions, and what the command says of it.
struct Project(Versions);

impl Project {
    fn new(versions: &[(&str, &str, &str, &str)]) -> Self {
        Self(Versions::new(versions))
    }

    /// Runs `memgen check`: exit code, stdout, stderr.
    fn check(&self, args: &[&str]) -> (i32, String, String) {
        let output = project::builds(&mut Command::new(binary("memgen")))
            .arg("check")
            .args(args)
            .current_dir(self.0.folder())
            .stdin(Stdio::null())
            .output()
            .expect("the command is built");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().expect("it was not killed"),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    fn layouts(&self) -> Option<String> {
        fs::read_to_string(self.0.folder().join("memgen.layouts")).ok()
    }

    fn program(&self, version: &str) -> PathBuf {
        self.0.program(version)
    }
}

/// A file by its path and its bytes.
fn contents(folder: &std::path::Path) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |file: PathBuf| {
        let bytes = fs::read(&file).expect("the folder is writable");
        (file, bytes)
    };
    files(folder).into_iter().map(read).collect()
}

async fn put(running: &Running, id: u32, body: &Value) {
    let reply = running.client().put(&format!("/vertex/{id}"), body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

async fn get(running: &Running, id: u32) -> Value {
    let reply = running.client().get(&format!("/vertex/{id}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// The whole life of a state: recorded, widened, broken, mended by a migration, and each version started on the log of the one before.
#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one life, from the first version to the last"
)]
async fn a_state_changes_and_its_log_stays_readable() {
    let migration = "
        /// A vertex as it was.
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        pub struct VertexV1 {
            pub id: u32,
            pub rank: String,
        }

        impl From<VertexV1> for Vertex {
            fn from(old: VertexV1) -> Self {
                Self { id: old.id, rank: old.rank.parse().unwrap_or_default() }
            }
        }";
    let wider = format!("{FIRST}\n    #[serde(default)]\n    pub weight: u32,");
    let broken = format!("{wider}\n    pub color: String,");
    let project = Project::new(&[
        ("first", "", FIRST, ""),
        ("wider", "", &wider, ""),
        ("broken", "", &broken, ""),
        (
            "migrated",
            "#[migrate(from = VertexV1)]",
            "\n    pub rank: u64,",
            migration,
        ),
    ]);

    // At first there is nothing to compare with: it is recorded.
    let (code, _, said) = project.check(&["--bin", "first"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("New `Vertex` (topic `vertex`)")
            && said.contains("Recorded")
            && said.contains("memgen.layouts"),
        "{said}"
    );
    let first = project.layouts().expect("it is recorded");
    let (code, _, said) = project.check(&["--bin", "first"]);
    assert_eq!(
        (code, project.layouts()),
        (0, Some(first.clone())),
        "{said}"
    );

    let service = Service::of(project.program("first"));
    let mut running = service.start().await;
    for id in 0..20 {
        let note = (id % 2 == 0).then(|| format!("note {id}"));
        put(&running, id, &json!({"rank": id.to_string(), "note": note})).await;
    }
    running.kill_9();

    // A compatible change is said, and recorded when it is accepted.
    let (code, _, said) = project.check(&["--bin", "wider"]);
    assert_eq!(code, OUT_OF_DATE, "{said}");
    assert!(said.contains("memgen check --accept"), "{said}");
    assert_eq!(project.layouts(), Some(first.clone()));
    let (code, _, said) = project.check(&["--bin", "wider", "--accept"]);
    assert_eq!(code, 0, "{said}");
    let both = project.layouts().unwrap();
    assert_ne!(both, first);
    let recorded: Value = serde_json::from_str(&both).unwrap();
    let topics = recorded["topics"].as_object().unwrap();
    assert_eq!(topics["vertex"].as_array().unwrap().len(), 2, "{both}");

    let widened = Service::of(project.program("wider")).with_data(service.data());
    let mut running = widened.start().await;
    assert_eq!(
        get(&running, 4).await,
        json!({"id": 4, "rank": "4", "note": "note 4", "weight": 0})
    );
    put(&running, 100, &json!({"rank": "100", "weight": 7})).await;
    running.kill_9();

    // A field that no older value has, and no default: refused, by the command and by the start, and nothing changes.
    let (code, _, said) = project.check(&["--bin", "broken", "--accept"]);
    assert_eq!(code, INCOMPATIBLE, "{said}");
    for part in [
        "`Vertex.color` (topic `vertex`)",
        "#[serde(default)]",
        "Nothing was recorded",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(project.layouts(), Some(both.clone()));
    let (code, out, said) = project.check(&["--bin", "broken", "--format", "json"]);
    assert_eq!(code, INCOMPATIBLE, "{said}");
    let verdict: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(verdict["compatible"], false);
    assert!(
        verdict["accepted"].is_null(),
        "what to record is for the command alone"
    );
    assert_eq!(
        verdict["states"][0]["problems"][0]["place"], "Vertex.color",
        "{out}"
    );

    // The question may be asked while the service runs.
    let mut running = widened.start().await;
    let before = contents(service.data());
    let refused = Service::of(project.program("broken")).with_data(service.data());
    let (status, said) = refused.clone().arg("--check-log").run().await;
    assert_eq!(status.code(), Some(INCOMPATIBLE), "{said}");
    assert!(contents(service.data()) == before, "the log was changed");
    assert!(running.terminate().await.success());
    let before = contents(service.data());
    let (status, said) = refused.run().await;
    assert_eq!(status.code(), Some(INCOMPATIBLE), "{said}");
    assert!(said.contains("`Vertex.color` (topic `vertex`)"), "{said}");
    assert!(contents(service.data()) == before, "the log was changed");

    nothing_written_hinders_nobody(&project).await;

    // Another type, and how the older values become it.
    let (code, _, said) = project.check(&["--bin", "migrated"]);
    assert_eq!(code, OUT_OF_DATE, "{said}");
    assert!(said.contains("read as VertexV1"), "{said}");
    let (code, _, said) = project.check(&["--bin", "migrated", "--accept"]);
    assert_eq!(code, 0, "{said}");

    let migrated = Service::of(project.program("migrated")).with_data(service.data());
    let (status, said) = migrated.clone().arg("--check-log").run().await;
    assert_eq!(status.code(), Some(0), "{said}");
    let mut running = migrated.start().await;
    for id in (0..20).chain([100]) {
        assert_eq!(get(&running, id).await, json!({"id": id, "rank": id}));
    }
    put(&running, 200, &json!({"rank": 200})).await;
    running.kill_9();
    // Old and new values side by side.
    let mut running = migrated.start().await;
    assert_eq!(get(&running, 7).await, json!({"id": 7, "rank": 7}));
    assert_eq!(get(&running, 200).await, json!({"id": 200, "rank": 200}));
    running.assert_sound();
    running.kill_9();

    // The way back is closed: a number is no text.
    let (status, said) = widened.run().await;
    assert_eq!(status.code(), Some(INCOMPATIBLE), "{said}");
    assert!(said.contains("`Vertex.rank`"), "{said}");
}

/// Where nothing is written under the older layouts there is nothing that can't be read.
async fn nothing_written_hinders_nobody(project: &Project) {
    let empty = Service::of(project.program("first"));
    let mut running = empty.start().await;
    let fresh = Service::of(project.program("broken")).with_data(empty.data());
    let (status, said) = fresh.clone().arg("--check-log").run().await;
    assert_eq!(status.code(), Some(0), "{said}");
    running.kill_9();
    let mut running = fresh.start().await;
    put(&running, 1, &json!({"rank": "1", "color": "red"})).await;
    running.kill_9();
    // And what the newer one has written, the older one reads without the field that it does not know.
    let mut running = empty.start().await;
    assert_eq!(get(&running, 1).await, json!({"id": 1, "rank": "1"}));
    running.kill_9();
}

#[test]
fn topics_are_forgotten_on_demand_only() {
    let project = Project::new(&[
        ("original", "", FIRST, ""),
        ("keyed", "", "\n    #[key]\n    pub rank: String,", ""),
        ("alone", "", "\n    pub rank: String,", ""),
    ]);
    let (code, _, said) = project.check(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("--bin") && said.contains("`original`"),
        "{said}"
    );

    assert_eq!(project.check(&["--bin", "original"]).0, 0);
    let recorded = project.layouts();
    let (code, _, said) = project.check(&["--bin", "keyed", "--accept"]);
    assert_eq!(code, INCOMPATIBLE, "{said}");
    assert!(said.contains("key"), "{said}");
    assert_eq!(project.layouts(), recorded);

    // A topic whose state is gone is told of until it is forgotten.
    let path = project.0.folder().join("memgen.layouts");
    let mut edges: Value = serde_json::from_str(recorded.as_deref().unwrap()).unwrap();
    edges["topics"]["edge"] = edges["topics"]["vertex"].clone();
    fs::write(&path, edges.to_string()).unwrap();
    let (code, _, said) = project.check(&["--bin", "original"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("no state has the topic `edge`"), "{said}");
    let (code, _, said) = project.check(&["--bin", "original", "--forget", "edge"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(project.layouts(), recorded);

    let (code, _, said) = project.check(&["--bin", "alone", "--forget", "vertices"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("`vertices`") && said.contains("`vertex`"),
        "{said}"
    );
    let (code, _, said) = project.check(&["--bin", "keyed", "--forget", "vertex"]);
    assert_eq!(code, 0, "{said}");
    assert_ne!(project.layouts(), recorded);

    let damaged = "{\"version\": 1, \"topics\": ";
    fs::write(&path, damaged).unwrap();
    let (code, _, said) = project.check(&["--bin", "keyed", "--accept"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("memgen.layouts"), "{said}");
    assert_eq!(project.layouts().as_deref(), Some(damaged));
    fs::write(&path, "{\"version\": 2, \"topics\": {}}").unwrap();
    let (code, _, said) = project.check(&["--bin", "keyed", "--accept"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("version 2"), "{said}");
}
