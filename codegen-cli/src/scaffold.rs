//! The files of a new project, and what is remembered of them: `.memgen/scaffold.json`.

use std::{collections::BTreeMap, fs, path::Path};

use clap::ValueEnum;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

use crate::emit::Dependency;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../templates");

/// Where a project remembers its scaffold as it was written.
pub const PATH: &str = ".memgen/scaffold.json";

/// The document of a project that begins as [`Template::Openapi`].
pub const DOCUMENT: &str = "openapi.yaml";

/// What a project begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Template {
    /// A state and its routes, in annotated Rust.
    Service,
    /// The service of an OpenAPI document.
    Openapi,
    /// A graph: entities that refer to one another.
    Graph,
}

impl Template {
    /// As it is written in arguments.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Openapi => "openapi",
            Self::Graph => "graph",
        }
    }
}

/// A scaffold and the files that came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaffold {
    /// The version of memgen that wrote it.
    pub memgen: String,
    /// What it began as.
    pub template: Template,
    /// The name of the crate.
    pub name: String,
    /// The line of `Cargo.toml` behind `memgen = `, without features.
    pub source: Source,
    /// The files as they were written, by their paths.
    pub files: BTreeMap<String, String>,
}

/// Where the runtime comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A folder.
    Path(String),
    /// A repository.
    Git(String),
    /// The registry.
    Version(String),
}

impl From<Dependency> for Source {
    fn from(dependency: Dependency) -> Self {
        match dependency {
            Dependency::Path(path) => Self::Path(path),
            Dependency::Git(url) => Self::Git(url),
            Dependency::Version(version) => Self::Version(version),
        }
    }
}

impl Source {
    /// `memgen = { path = "…", features = ["contract"] }`
    fn line(&self, features: &[&str]) -> String {
        let (word, value) = match self {
            Self::Path(value) => ("path", value),
            Self::Git(value) => ("git", value),
            Self::Version(value) => ("version", value),
        };
        let value = toml_string(value);
        let features = features.iter().map(|name| format!("\"{name}\""));
        let features: Vec<String> = features.collect();
        if features.is_empty() {
            return match self {
                Self::Version(_) => format!("memgen = {value}"),
                _ => format!("memgen = {{ {word} = {value} }}"),
            };
        }
        format!(
            "memgen = {{ {word} = {value}, features = [{}] }}",
            features.join(", ")
        )
    }
}

fn toml_string(text: &str) -> String {
    // Basic strings of TOML have the escapes of JSON.
    serde_json::Value::from(text).to_string()
}

impl Scaffold {
    /// The files of a template as this version of memgen has them.
    #[must_use]
    pub fn render(template: Template, name: &str, source: Source) -> Self {
        let memgen = source.line(&[]);
        let contract = source.line(&["contract"]);
        let testing = source.line(&["testing"]);
        let fill = |text: &str| {
            text.replace("@NAME@", name)
                .replace("@MEMGEN@", &memgen)
                .replace("@MEMGEN_CONTRACT@", &contract)
                .replace("@MEMGEN_TESTING@", &testing)
        };
        let mut files = BTreeMap::new();
        for root in ["common", template.name()] {
            let folder = TEMPLATES.get_dir(root);
            let mut open: Vec<&Dir<'_>> = folder.into_iter().collect();
            while let Some(folder) = open.pop() {
                open.extend(folder.dirs());
                for file in folder.files() {
                    let path = file.path().strip_prefix(root).unwrap_or(file.path());
                    let path = path.to_string_lossy();
                    // A manifest by its own name would be a package of this repository.
                    let path = path.strip_suffix(".in").unwrap_or(&path).to_owned();
                    files.insert(path, fill(file.contents_utf8().unwrap_or_default()));
                }
            }
        }
        Self {
            memgen: env!("CARGO_PKG_VERSION").to_owned(),
            template,
            name: name.to_owned(),
            source,
            files,
        }
    }

    /// The same project as this version of memgen writes it. One that depends on the version that wrote it goes along; what was chosen for it stays.
    #[must_use]
    pub fn raised(&self) -> Self {
        let source = match &self.source {
            Source::Version(version) if *version == self.memgen => {
                Source::Version(env!("CARGO_PKG_VERSION").to_owned())
            }
            chosen => chosen.clone(),
        };
        Self::render(self.template, &self.name, source)
    }

    /// What a project remembers.
    ///
    /// # Errors
    /// If it remembers nothing, or nothing that can be read.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(PATH);
        let text = fs::read_to_string(&path).map_err(|error| {
            format!(
                "{}: {error}; only projects that `memgen new` made can be upgraded",
                path.display()
            )
        })?;
        serde_json::from_str(&text).map_err(|error| {
            format!(
                "{} is damaged: {error}; restore it from your repository",
                path.display()
            )
        })
    }

    /// As it is remembered.
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| unreachable!("texts are written as JSON: {error}"));
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_is_complete() {
        for template in Template::value_variants() {
            let source = Source::Version("0.1.0".to_owned());
            let scaffold = Scaffold::render(*template, "my-service", source);
            for path in [
                "Cargo.toml",
                "Dockerfile",
                "compose.yaml",
                "README.md",
                ".gitignore",
                "memgen.toml",
                ".github/workflows/ci.yml",
                "tests/kit/mod.rs",
            ] {
                assert!(
                    scaffold.files.contains_key(path),
                    "{template:?} has no {path}"
                );
            }
            for (path, text) in &scaffold.files {
                assert!(!text.is_empty(), "{path}");
                let left = [
                    "@NAME@",
                    "@MEMGEN@",
                    "@MEMGEN_CONTRACT@",
                    "@MEMGEN_TESTING@",
                ];
                assert!(!left.iter().any(|mark| text.contains(mark)), "{path}");
            }
            let read: Scaffold = serde_json::from_str(&scaffold.to_text()).unwrap();
            assert_eq!(read, scaffold);
        }
    }

    #[test]
    fn the_runtime_goes_along_unless_it_was_chosen() {
        let now = Source::Version(env!("CARGO_PKG_VERSION").to_owned());
        let own = |text: &str| Source::Version(text.to_owned());
        let path = Source::Path("../memgen".to_owned());
        for (source, expected) in [
            (own("0.0.1"), now),
            (own("0.0.7"), own("0.0.7")),
            (path.clone(), path),
        ] {
            let mut old = Scaffold::render(Template::Service, "shop", source);
            "0.0.1".clone_into(&mut old.memgen);
            let new = old.raised();
            assert_eq!(new.source, expected);
            assert!(new.files["Cargo.toml"].contains(&expected.line(&[])));
            assert_eq!(new.memgen, env!("CARGO_PKG_VERSION"));
        }
    }

    #[test]
    fn what_is_yaml_is_right() {
        for template in Template::value_variants() {
            // The most letters that a name may have, and one of them large.
            let name = format!("My-{}", "x".repeat(61));
            let scaffold = Scaffold::render(*template, &name, Source::Version("0.1.0".to_owned()));
            let yaml = |path: &str| crate::spec::yaml(&scaffold.files[path]).expect("it is YAML");
            let is_yaml = |path: &&String| {
                Path::new(path)
                    .extension()
                    .is_some_and(|it| it == "yaml" || it == "yml")
            };
            for path in scaffold.files.keys().filter(is_yaml) {
                assert!(yaml(path).is_object(), "{path}");
            }
            let compose = yaml("compose.yaml");
            let services = compose["services"].as_object().unwrap();
            assert_eq!(
                services.keys().collect::<Vec<_>>(),
                ["kafka", "service", "zookeeper"]
            );
            for (name, service) in services {
                // What is built here says in its Dockerfile whether it is well.
                let is_checked = match service["build"].as_str() {
                    Some(_) => scaffold.files["Dockerfile"].contains("\nHEALTHCHECK "),
                    None => service["healthcheck"]["test"][0] == "CMD",
                };
                assert!(is_checked, "{name}: {service}");
                for volume in service["volumes"].as_array().unwrap() {
                    let volume = volume.as_str().unwrap().split(':').next().unwrap();
                    assert!(compose["volumes"].get(volume).is_some(), "{name}: {volume}");
                }
            }
            let ci = yaml(".github/workflows/ci.yml");
            let steps = ci["jobs"]["test"]["steps"].as_array().unwrap();
            assert!(steps.iter().any(|step| step["run"] == "cargo test"), "{ci}");
        }
    }

    #[test]
    fn the_runtime_comes_from_where_it_should() {
        let rows = [
            (
                Source::Version("0.1.0".to_owned()),
                "memgen = \"0.1.0\"",
                "memgen = { version = \"0.1.0\", features = [\"contract\"] }",
            ),
            (
                Source::Path("/a \"b\"".to_owned()),
                "memgen = { path = \"/a \\\"b\\\"\" }",
                "memgen = { path = \"/a \\\"b\\\"\", features = [\"contract\"] }",
            ),
            (
                Source::Git("https://x/y".to_owned()),
                "memgen = { git = \"https://x/y\" }",
                "memgen = { git = \"https://x/y\", features = [\"contract\"] }",
            ),
        ];
        for (source, plain, contract) in rows {
            assert_eq!(source.line(&[]), plain);
            assert_eq!(source.line(&["contract"]), contract);
        }
    }
}
