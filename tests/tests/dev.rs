//! `memgen dev`: generates, builds, runs, and follows changes.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use memgen_tests::{Client, Folder, binaries::binary, project};
use serde_json::json;

/// How long a build may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// The command, and what it and the service say.
struct Dev {
    process: Child,
    lines: Receiver<String>,
    before: Vec<String>,
}

impl Dev {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut process = project::builds(&mut Command::new(binary("memgen")))
            .arg("dev")
            .args(args)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command is built");
        let (sender, lines) = mpsc::channel();
        let out = process.stdout.take().expect("it is piped");
        let errors = process.stderr.take().expect("it is piped");
        let follow = |from: Box<dyn std::io::Read + Send>, sender: mpsc::Sender<String>| {
            thread::spawn(move || {
                for line in BufReader::new(from).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        };
        follow(Box::new(out), sender.clone());
        follow(Box::new(errors), sender);
        Self {
            process,
            lines,
            before: Vec::new(),
        }
    }

    /// Waits for a line with this text, and takes it. Those before it stay: two processes write them, in whatever order.
    fn line(&mut self, text: &str) -> String {
        loop {
            if let Some(place) = self.before.iter().position(|line| line.contains(text)) {
                return self.before.remove(place);
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.before.push(line),
                Err(error) => panic!(
                    "`{text}` was not said ({error}), but:\n{}",
                    self.before.join("\n")
                ),
            }
        }
    }

    /// Interrupts it, which is no failure, and returns what it said that nobody waited for since the last build.
    fn end(mut self) -> String {
        self.before.clear();
        self.interrupt();
        let status = self.process.wait().expect("it is ours");
        assert!(status.success(), "{status}");
        let rest: Vec<String> = self.lines.iter().collect();
        rest.join("\n")
    }

    fn interrupt(&self) {
        let _ = Command::new("kill")
            .args(["-INT", &self.process.id().to_string()])
            .status();
    }

    /// Waits for the address of the service.
    fn client(&mut self) -> Client {
        let line = self.line("api   http://");
        Client::new(line.trim_start_matches("api").trim())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.interrupt();
        }
        let _ = self.process.wait();
    }
}

/// A document that was there may come back; one whose name is misspelt is nothing to wait for.
#[test]
fn a_document_that_is_not_there_ends_it() {
    let folder = Folder::new();
    let mut dev = Dev::start(folder.path(), &["nowhere.yaml"]);
    dev.line("nowhere.yaml: No such file");
    loop {
        match dev.lines.recv_timeout(PATIENCE) {
            Ok(line) => dev.before.push(line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("it goes on: {:?}", dev.before),
        }
    }
    let status = dev.process.wait().expect("it is ours");
    assert_eq!(status.code(), Some(1));
}

// Waiting for a line blocks this thread: another one sees that the service closes connections that are idle.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_followed_and_the_state_is_kept() {
    let folder = Folder::new();
    let document = folder.path().join("openapi.yaml");
    let source = project::repository().join("templates/openapi/openapi.yaml");
    let text = fs::read_to_string(source).expect("the template is there");
    let text = text.replace("@NAME@", "Pad of notes");
    fs::write(&document, &text).expect("there is room");
    let runtime = project::runtime();
    let mut dev = Dev::start(
        folder.path(),
        &[
            "openapi.yaml",
            "--memgen-path",
            &runtime,
            "--",
            "--http",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ],
    );
    let client = dev.client();
    let note = client
        .request("POST", "/notes")
        .json(&json!({ "text": "keep me" }))
        .send()
        .await;
    assert_eq!(note.status, 201, "{note:?}");
    let path = format!(
        "/notes/{}",
        note.json()["id"].as_str().expect("it has an id")
    );
    assert_eq!(client.get(&format!("{path}/words")).await.status, 501);
    dev.line("Watching");

    // A mistake of the user's: the service as it was goes on.
    let handlers = folder.path().join("pad-of-notes/src/handlers/notes.rs");
    let written = fs::read_to_string(&handlers).expect("it was written");
    fs::write(&handlers, format!("{written}\nthis is no Rust\n")).expect("there is room");
    dev.line("goes on");
    assert_eq!(client.get(&path).await.status, 200);

    // Their function, and a change of the document, both at once.
    let function = "impl NotesApi for Handlers {
    async fn count_words(_: Cx, _: CountWordsParameters) -> Result<CountWordsReply> {
        Ok(CountWordsReply::Ok(7))
    }
}";
    let mended = written.replace("impl NotesApi for Handlers {}", function);
    assert_ne!(mended, written);
    fs::write(&document, text.replace("maxLength: 10000", "maxLength: 5")).expect("there is room");
    fs::write(&handlers, &mended).expect("there is room");
    let client = dev.client();
    let words = client.get(&format!("{path}/words")).await;
    assert_eq!((words.status, words.json()), (200, json!(7)));
    assert_eq!(client.get(&path).await.json()["text"], "keep me");
    let long = client
        .request("POST", "/notes")
        .json(&json!({ "text": "too long" }))
        .send()
        .await;
    assert_eq!(long.status, 422);

    let text = renamed_tag(&mut dev, folder.path(), &text, &mended);
    let client = dev.client();
    let words = client.get(&format!("{path}/words")).await;
    assert_eq!((words.status, words.json()), (200, json!(7)));
    is_up_to_date(folder.path());

    // What is wrong with the document is said, and nothing else happens.
    fs::write(&document, "openapi: 3.1.0\npaths: [").expect("there is room");
    dev.line("openapi.yaml:");
    assert_eq!(client.get(&path).await.status, 200);

    // A version that could not read the log is not started, and what mends it is said.
    let number = text.replace(
        "type: string\n          minLength: 1\n          maxLength: 10000",
        "type: integer",
    );
    assert_ne!(number, text);
    fs::write(&document, &number).expect("there is room");
    dev.line("`NoteState.note.text` (topic `note`): it was any text");
    dev.line("`x-memgen-migrate: [crate::migrations::NoteStateV1]` in its schema");
    dev.line("could not read the log any more; as it was before it goes on");
    assert_eq!(client.get(&path).await.json()["text"], "keep me");

    // That mends it: older records are read under the new document.
    let text = migrated(folder.path(), &number);
    let client = dev.client();
    let migrated = client.get(&path).await;
    assert_eq!(migrated.json()["text"], 7, "{migrated:?}");

    // An interrupt ends it at once, also in the middle of a build, and the service with it.
    fs::write(&document, text.replace("Lists the notes", "All notes")).expect("there is room");
    dev.line("Compiling pad-of-notes");
    let rest = dev.end();
    assert!(!rest.contains("Running"), "{rest}");
    assert!(
        client.request("GET", &path).try_send().await.is_err(),
        "the service ends with it"
    );
}

/// The tag of the user's function gets another name: the compiler says so at the function, until it is in the other file.
fn renamed_tag(dev: &mut Dev, folder: &Path, document: &str, written: &str) -> String {
    let handlers = folder.join("pad-of-notes/src/handlers");
    let document = document.replace(
        "[notes]\n      operationId: countWords",
        "[words]\n      operationId: countWords",
    );
    fs::write(folder.join("openapi.yaml"), &document).expect("there is room");
    dev.line("src/handlers/notes.rs belongs to no tag of the document any more");
    dev.line("`count_words` is no operation of the document");
    dev.line("goes on");
    let moved = written.replace("notes::", "words::");
    let moved = moved.replace("NotesApi", "WordsApi");
    fs::write(handlers.join("words.rs"), moved).expect("there is room");
    fs::remove_file(handlers.join("notes.rs")).expect("it is there");
    document
}

/// Nothing is left to do, and to say.
fn is_up_to_date(folder: &Path) {
    let again = ["generate", "openapi.yaml", "--out", "pad-of-notes"];
    let again = project::memgen(folder, &[&again[..], &["--check"]].concat());
    assert_eq!(again, (0, String::new(), String::new()));
}

/// The user says how older values become those of this document. What it is then.
fn migrated(folder: &Path, document: &str) -> String {
    let migrations = "use crate::generated::{states::NoteState, types::Note};
use memgen::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NoteStateV1 { pub id: Uuid, pub note: NoteV1 }

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NoteV1 { pub id: Option<Uuid>, pub text: String }

impl From<NoteStateV1> for NoteState {
    fn from(old: NoteStateV1) -> Self {
        let text = i64::try_from(old.note.text.len()).unwrap_or_default();
        let id = old.note.id;
        Self { id: old.id, note: Note { id, text } }
    }
}
";
    let source = folder.join("pad-of-notes/src");
    let main = fs::read_to_string(source.join("main.rs")).expect("it was written");
    let main = main.replace("mod generated;", "mod generated;\nmod migrations;");
    fs::write(source.join("migrations.rs"), migrations).expect("there is room");
    fs::write(source.join("main.rs"), main).expect("there is room");
    let document = document.replace(
        "    Note:\n",
        "    Note:\n      x-memgen-migrate: ['crate::migrations::NoteStateV1']\n",
    );
    fs::write(folder.join("openapi.yaml"), &document).expect("there is room");
    document
}
