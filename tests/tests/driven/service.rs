//! The crate of a document, its process, and a client whose replies are held to the document.

use std::{fs, path::PathBuf};

use memgen_tests::{
    Client, Conformance, Reply, Running, Service,
    client::Outgoing,
    project::{build, memgen, repository, runtime, specs},
};
use serde_json::Value;

/// A document of others.
#[derive(Clone, Copy)]
pub(crate) struct Document {
    /// Of the crate.
    pub(crate) name: &'static str,
    /// Of the file.
    pub(crate) file: &'static str,
    /// What opens the service: `NAME=SECRET`.
    pub(crate) credentials: &'static str,
    /// The header that shows it.
    pub(crate) shown: (&'static str, &'static str),
}

impl Document {
    pub(crate) fn path(self) -> PathBuf {
        specs().join(self.file)
    }

    /// Generates the crate and builds it. What is there already is brought up to date.
    fn program(self) -> PathBuf {
        let folder = repository().join("target/driven").join(self.name);
        fs::create_dir_all(&folder).expect("there is room");
        let document = self.path().display().to_string();
        let out = folder.display().to_string();
        let runtime = runtime();
        let args = [
            "--quiet",
            "generate",
            &document,
            "--out",
            &out,
            "--name",
            self.name,
            "--memgen-path",
            &runtime,
        ];
        let (code, said, errors) = memgen(&folder, &args);
        assert_eq!(code, 0, "{said}{errors}");
        build(&folder)
    }

    /// Generates, builds and starts it.
    pub(crate) async fn start(self) -> Driven {
        let service = Service::of(self.program()).args(&["--credentials", self.credentials]);
        let running = service.start().await;
        Driven {
            client: running.client(),
            conformance: Conformance::of(&self.path()),
            document: self,
            service,
            running,
        }
    }
}

/// A running service.
pub(crate) struct Driven {
    document: Document,
    service: Service,
    running: Running,
    client: Client,
    pub(crate) conformance: Conformance,
}

impl Driven {
    /// A request that shows who asks.
    pub(crate) fn request(&self, method: &str, target: &str) -> Outgoing<'_> {
        let (name, value) = self.document.shown;
        self.client.request(method, target).header(name, value)
    }

    /// A request of a stranger.
    pub(crate) async fn stranger(&self, method: &str, target: &str) -> Reply {
        let reply = self.client.request(method, target).send().await;
        self.conformance.check(method, target, &reply);
        reply
    }

    /// Sends a request without a body.
    pub(crate) async fn send(&self, method: &str, target: &str) -> Reply {
        let reply = self.request(method, target).send().await;
        self.conformance.check(method, target, &reply);
        reply
    }

    /// Sends a request with a body of this media type.
    pub(crate) async fn send_as(
        &self,
        method: &str,
        target: &str,
        media_type: &str,
        body: impl Into<String>,
    ) -> Reply {
        let request = self.request(method, target);
        let request = request.header("content-type", media_type).body(body.into());
        let reply = request.send().await;
        self.conformance.check(method, target, &reply);
        reply
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, method: &str, target: &str, body: &Value) -> Reply {
        self.send_as(method, target, "application/json", body.to_string())
            .await
    }

    /// `GET`, which has to be answered 200.
    pub(crate) async fn read(&self, target: &str) -> Value {
        let reply = self.send("GET", target).await;
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
        reply.json()
    }

    /// `kill -9`, and another process on the same data.
    pub(crate) async fn crash(&mut self) {
        self.running.assert_sound();
        self.running.kill_9();
        self.running = self.service.start().await;
        self.client = self.running.client();
    }
}

/// The target of the next page, by the header `Link`.
pub(crate) fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link")?;
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    assert!(rest.contains("rel=\"next\""), "{link}");
    let (_, target) = target.split_once("://")?;
    Some(target[target.find('/')?..].to_owned())
}
