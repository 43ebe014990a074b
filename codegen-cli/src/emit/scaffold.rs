//! What holds the generated files together, and the files that a user begins with.

use super::{
    Dependency, Options, doc,
    named::{Named, Tag},
    text::{Text, literal},
};
use crate::{lock::quoted, model::Api};

/// What is not for the repository of a service.
pub(super) const GITIGNORE: &str = "/target\n/data\n";
/// The most lines of the document's own description.
const LINES: usize = 8;
/// The widest call that rustfmt leaves in one line.
const CALL: usize = 60;

/// `generated/mod.rs`.
pub(super) fn module(named: &Named<'_>) -> String {
    let api = named.api;
    let mut text = Text::default();
    let mut about = doc::lines(&format!("{} {}", api.title, api.version), 1);
    let more = doc::lines(&api.description, LINES);
    if !more.is_empty() {
        about.push(String::new());
        about.extend(more);
    }
    text.inner_doc(&about);
    text.gap();
    let mut modules: Vec<&str> = named.tags.iter().map(|tag| tag.module.as_str()).collect();
    if !api.resources.is_empty() {
        modules.push("states");
    }
    modules.push("types");
    modules.sort_unstable();
    for module in &modules {
        text.line(&format!("pub mod {module};"));
    }
    text.gap();
    // In the order that rustfmt gives them.
    let mut modules: Vec<&str> = named.tags.iter().map(|tag| tag.module.as_str()).collect();
    modules.sort_unstable();
    for module in modules {
        text.line(&format!("#[path = \"../handlers/{module}.rs\"]"));
        text.line(&format!("mod handlers_{module};"));
    }
    if !api.security.is_empty() {
        text.gap();
        text.line("#[path = \"../security.rs\"]");
        text.line("mod security;");
    }
    text.gap();
    text.line("/// The document that this service keeps.");
    text.line("pub const DOCUMENT: &str = include_str!(\"openapi.json\");");
    text.gap();
    text.line("/// The service: what it keeps, and who answers.");
    text.open("pub fn service() -> memgen::Service {");
    let mut calls = Vec::new();
    for (resource, state) in api.resources.iter().zip(&named.states) {
        let words = literal(&resource.words);
        calls.push(format!(".entity::<states::{state}>({words})"));
    }
    for (index, tag) in named.tags.iter().enumerate() {
        let (module, name) = (&tag.module, &tag.api);
        let operations = format!("<handlers_{module}::Handlers as {module}::{name}>::operations()");
        let flat = format!(".operations({operations})");
        // Within a function and a chain: eight blanks. The last call has a semicolon.
        let end = usize::from(api.security.is_empty() && index + 1 == named.tags.len());
        if flat.len() + 8 + end <= 100 {
            calls.push(flat);
        } else {
            calls.push(format!(
                ".operations(\n            {operations},\n        )"
            ));
        }
    }
    if !api.security.is_empty() {
        calls.push(".authenticate(security::authenticate)".to_owned());
    }
    let new = "let contract = memgen::Contract::new(DOCUMENT)";
    let flat = calls.concat();
    // One call is no chain that rustfmt would break.
    if calls.len() <= 1 && text.fits(&format!("{new}{flat};")) {
        text.line(&format!("{new}{flat};"));
    } else {
        text.open(new);
        for (index, call) in calls.iter().enumerate() {
            let end = if index + 1 < calls.len() { "" } else { ";" };
            text.line(&format!("{call}{end}"));
        }
        text.dedent();
    }
    let states: Vec<String> = named
        .states
        .iter()
        .map(|state| format!("states::{state}"))
        .collect();
    let flat = states.join(", ");
    let line = format!("memgen::service!({flat}).contract(contract)");
    // rustfmt keeps arguments in one line up to a width.
    if flat.len() <= CALL && text.fits(&line) {
        text.line(&line);
    } else {
        text.open("memgen::service!(");
        for (index, state) in states.iter().enumerate() {
            let comma = if index + 1 < states.len() { "," } else { "" };
            text.line(&format!("{state}{comma}"));
        }
        text.close(")");
        text.line(".contract(contract)");
    }
    text.close("}");
    text.finish()
}

/// `main.rs`.
pub(super) fn main(api: &Api) -> String {
    let mut text = Text::default();
    let title = doc::lines(&api.title, 1).join(" ");
    text.inner_doc(&[format!(
        "The service {title}: `cargo run -- --help` shows its settings."
    )]);
    text.gap();
    text.line("#![forbid(unsafe_code)]");
    text.gap();
    text.line("mod generated;");
    text.gap();
    text.open("fn main() -> std::process::ExitCode {");
    text.line("generated::service().main()");
    text.close("}");
    text.finish()
}

/// `handlers/<tag>.rs`.
pub(super) fn handlers(tag: &Tag<'_>) -> String {
    let mut text = Text::default();
    let name = tag.name.replace('`', "'");
    let name = doc::lines(&format!("`{name}`"), 1).join(" ");
    text.inner_doc(&[
        format!("The operations of the tag {name}. Those that are not written here answer 501;"),
        format!("their forms are in `../generated/{}.rs`.", tag.module),
    ]);
    text.gap();
    text.line(&format!("use crate::generated::{}::*;", tag.module));
    text.gap();
    text.line("/// Who answers.");
    text.line("#[derive(Debug)]");
    text.line("pub struct Handlers;");
    text.gap();
    text.line("#[operations]");
    text.line(&format!("impl {} for Handlers {{}}", tag.api));
    text.finish()
}

/// `security.rs`.
pub(super) fn security(api: &Api) -> String {
    let mut text = Text::default();
    text.inner_doc(&[
        "Who may do what. Operations that ask for one of these are closed until it says yes:"
            .to_owned(),
        String::new(),
    ]);
    for scheme in &api.security {
        let hard = |one: char| one == '`' || one.is_control();
        let line = format!("- `{}` ({})", scheme.name.replace(hard, "'"), scheme.kind);
        text.inner_doc(&doc::lines(&line, 1));
    }
    text.gap();
    text.line("use memgen::contract::prelude::*;");
    text.gap();
    text.line("/// Looks at the credentials of one request. `configured` takes those that the setting `credentials` lists,");
    text.line("/// such as `--credentials api_key=secret`; put your own check in its place.");
    text.line("pub async fn authenticate(attempt: Attempt) -> Result<Principal> {");
    text.line("    attempt.configured()");
    text.line("}");
    text.finish()
}

/// `Cargo.toml`.
pub(super) fn manifest(options: &Options) -> String {
    let source = match &options.dependency {
        Dependency::Version(version) => format!("version = {}", quoted(version)),
        Dependency::Path(path) => format!("path = {}", quoted(path)),
        Dependency::Git(url) => format!("git = {}", quoted(url)),
    };
    let workspace = if options.alone {
        "\n# It stands alone. Without these lines it can be a member of the workspace around it.\n[workspace]\n"
    } else {
        ""
    };
    format!(
        r#"[package]
name = {name}
version = "0.1.0"
edition = "2024"
publish = false

[dependencies]
memgen = {{ {source}, features = ["contract"] }}
schemars = "1"
serde = {{ version = "1", features = ["derive"] }}
{workspace}"#,
        name = quoted(&options.name),
    )
}
