//! From what a document says to the text of a crate. No file is read or written here: same input, same bytes.
//!
//! ```text
//! Api -> named (a name for each thing) -> types, states, a file for each tag, mod.rs, openapi.json
//! ```
//!
//! Text of the document reaches Rust as names made of letters and digits, as literals and as lines of comments; so none of it can become code.
//! The text is written line by line, as rustfmt would lay it out.

mod casing;
mod doc;
mod named;
mod operations;
mod replies;
mod scaffold;
mod states;
#[cfg(test)]
mod tests;
mod text;
mod types;

use self::{named::Named, text::Text};
use crate::model::Api;

/// How a crate is generated, besides what the document says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the crate.
    pub name: String,
    /// Where the runtime comes from.
    pub dependency: Dependency,
    /// Whether the crate is in a folder of a workspace that it is no member of.
    pub alone: bool,
    /// Tags that a former document had. Those that are gone keep an empty trait, by which the compiler tells the user's functions.
    pub known: Vec<KnownTag>,
}

/// A tag that has a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownTag {
    /// The module of the trait, and of the handlers.
    pub module: String,
    /// The trait.
    pub api: String,
}

/// Where the runtime comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// From crates.io.
    Version(String),
    /// From a folder.
    Path(String),
    /// From a repository.
    Git(String),
}

/// A file of the crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where, within the crate, with `/`.
    pub path: String,
    /// What.
    pub text: String,
    /// Whose it is.
    pub owner: Owner,
}

/// Who changes a file after it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The generator, each time.
    Generator,
    /// The user: it is written once.
    User,
}

/// All files of the crate of a document, in the order of their paths.
#[must_use]
pub fn emit(api: &Api, options: &Options) -> Vec<File> {
    let named = Named::new(api, &options.known);
    let mut files = Vec::new();
    let mut add = |path: String, owner, text| files.push(File { path, text, owner });
    let generated = |name: &str| format!("src/generated/{name}");
    for (name, text) in types::files(&named) {
        add(generated(&name), Owner::Generator, text);
    }
    if !api.resources.is_empty() {
        add(
            generated("states.rs"),
            Owner::Generator,
            states::file(&named),
        );
    }
    for tag in &named.tags {
        let path = generated(&format!("{}.rs", tag.module));
        add(path, Owner::Generator, operations::file(&named, tag));
        if !tag.is_gone() {
            let path = format!("src/handlers/{}.rs", tag.module);
            add(path, Owner::User, scaffold::handlers(tag));
        }
    }
    add(
        generated("mod.rs"),
        Owner::Generator,
        scaffold::module(&named),
    );
    add(
        generated("openapi.json"),
        Owner::Generator,
        format!("{:#}\n", api.document),
    );
    add("src/main.rs".to_owned(), Owner::User, scaffold::main(api));
    if !api.security.is_empty() {
        add(
            "src/security.rs".to_owned(),
            Owner::User,
            scaffold::security(api),
        );
    }
    add(
        "Cargo.toml".to_owned(),
        Owner::User,
        scaffold::manifest(options),
    );
    add(
        ".gitignore".to_owned(),
        Owner::User,
        scaffold::GITIGNORE.to_owned(),
    );
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The beginning of a generated file: what it is about, and what it uses.
fn file(about: &str, uses: &[&str]) -> Text {
    let mut text = Text::default();
    text.inner_doc(&[about.to_owned()]);
    text.gap();
    // What no operation uses is there for the user's functions; and the names are the document's.
    text.line("#![allow(dead_code, unused_imports, clippy::all, rustdoc::bare_urls)]");
    text.gap();
    for line in uses {
        text.line(line);
    }
    text
}
