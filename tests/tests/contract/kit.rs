//! A document that is served in this process, without generated code: its states keep any JSON, and a function that says what it was asked answers the rest.

use std::path::PathBuf;

use axum::Json;
use memgen::{
    Service,
    config::Config,
    contract::{Body, Contract, Cx, FromBody, OperationRoute},
    prelude::*,
    server::Running,
};
use memgen_cli::{
    diagnostic::{Diagnostics, Severity},
    generate,
    model::{Api, Decision},
};
use memgen_tests::{Client, Folder, Reply};
use serde_json::{Value, json};

/// A document as the service embeds it, with the decisions of the generator.
pub(crate) struct Document {
    text: &'static str,
    pub(crate) api: Api,
}

impl Document {
    /// Reads a document in YAML.
    pub(crate) fn new(yaml: &str) -> Self {
        Self::read(yaml, None)
    }

    /// Reads a document in YAML, and what an overlay says of it.
    pub(crate) fn with_overlay(yaml: &str, overlay: &str) -> Self {
        Self::read(yaml, Some(overlay))
    }

    fn read(yaml: &str, overlay: Option<&str>) -> Self {
        let folder = Folder::new();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("there is room");
            path
        };
        let path = write("openapi.yaml", yaml);
        let overlay = overlay.map(|text| write("overlay.yaml", text));
        let mut diagnostics = Diagnostics::default();
        let (sources, read) = generate::read(&path, overlay.as_deref(), &mut diagnostics);
        let said: Vec<String> = diagnostics
            .iter()
            .map(|one| sources.render(one, false))
            .collect();
        let Some(api) = read else {
            panic!("{}", said.join("\n"));
        };
        assert_eq!(diagnostics.count(Severity::Error), 0, "{}", said.join("\n"));
        let text = api.document.to_string().leak();
        Self { text, api }
    }

    /// The contract, in which a function that says what it was asked answers all that no state does.
    pub(crate) fn contract(&self) -> Contract {
        let operations = self.api.operations.iter();
        let handlers = operations.filter(|operation| operation.decision == Decision::Handler);
        let routes = handlers.map(|operation| echo(operation.id.clone().leak()));
        Contract::new(self.text).operations(routes.collect())
    }

    /// The contract, in which nobody has written anything.
    pub(crate) fn bare(&self) -> Contract {
        Contract::new(self.text)
    }

    /// What becomes of an operation: `list pet`, `handler`, …
    pub(crate) fn verdict(&self, id: &str) -> String {
        let operation = self.api.operations.iter().find(|it| it.id == id);
        let operation = operation.unwrap_or_else(|| panic!("there is no `{id}`"));
        let verdict = memgen_cli::inspect::verdict(operation);
        match operation.decision {
            Decision::State { resource, .. } => {
                format!("{verdict} {}", self.api.resources[resource].words)
            }
            _ => verdict.to_owned(),
        }
    }
}

/// A body as it was read: its media type and what it holds.
struct Asked(Value);

impl FromBody for Asked {
    fn from_body(body: Body) -> Result<Self> {
        let media_type = body.media_type().to_owned();
        if media_type.is_empty() {
            return Ok(Self(Value::Null));
        }
        let holds = match body.clone().json::<Value>() {
            Ok(value) => value,
            Err(_) => json!({ "bytes": body.bytes()?.to_vec() }),
        };
        Ok(Self(json!({ "type": media_type, "holds": holds })))
    }
}

/// Answers what it was asked: parameters, body, and who asks.
fn echo(id: &'static str) -> OperationRoute {
    async fn answer(cx: Cx, parameters: Value, body: Asked) -> Result<Json<Value>> {
        let principal = cx.principal();
        Ok(Json(json!({
            "parameters": parameters,
            "body": body.0,
            "principal": principal.map(|it| json!({ "name": it.name, "scopes": it.scopes })),
        })))
    }
    OperationRoute::with_both(id, answer)
}

/// A service in this process.
pub(crate) struct Started {
    pub(crate) running: Running,
    pub(crate) folder: Folder,
}

impl Started {
    /// Starts a service on a folder of its own.
    pub(crate) async fn new(service: Service, nodes: u16) -> Self {
        Self::with(service, |config| config.nodes = nodes).await
    }

    /// The same with other settings.
    pub(crate) async fn with(service: Service, set: impl FnOnce(&mut Config)) -> Self {
        Self::on(Folder::new(), service, set).await
    }

    /// The same on a folder where one was before.
    pub(crate) async fn on(
        folder: Folder,
        service: Service,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        let mut config = Config {
            http: any,
            admin: any,
            peer: any,
            data: folder.path().join("data"),
            ..Config::default()
        };
        set(&mut config);
        let running = service.start(config).await.expect("it starts");
        running.ready().await.expect("it gets ready");
        Self { running, folder }
    }

    /// A client of one node.
    pub(crate) fn client(&self, node: usize) -> Client {
        Client::new(format!("http://{}", self.running.nodes()[node].http))
    }

    /// Stops it, and leaves the folder to the next one.
    pub(crate) async fn stop(self) -> Folder {
        self.running.stop().await;
        self.folder
    }
}

/// The places that a problem document names.
pub(crate) fn pointers(reply: &Reply) -> Vec<String> {
    let errors = reply.problem()["errors"].clone();
    let errors = errors.as_array().into_iter().flatten();
    errors
        .filter_map(|error| Some(error["pointer"].as_str()?.to_owned()))
        .collect()
}
