//! `memgen generate`: from a document to a crate on the disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    emit::{self, Dependency},
    files::{self, Plan},
    infer,
    lock::{self, Lock},
    lower,
    model::Api,
    names,
    relative::relative,
    spec,
    spec::Sources,
};

/// How a crate is generated.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The folder of the crate.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The name of the crate; otherwise that of its folder.
    #[arg(long)]
    pub name: Option<String>,
    /// An overlay (OpenAPI Overlay 1.0) for the document.
    #[arg(long, value_name = "FILE")]
    pub overlay: Option<PathBuf>,
    /// Where the runtime comes from.
    #[command(flatten)]
    pub source: Source,
    /// Writes generated files anew that were edited.
    #[arg(long)]
    pub force: bool,
}

/// Where a new crate gets the runtime from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Source {
    /// The folder of the runtime, for a new crate to depend on.
    #[arg(long, value_name = "PATH", group = "source")]
    pub memgen_path: Option<String>,
    /// The repository of the runtime, for a new crate to depend on.
    #[arg(long, value_name = "URL", group = "source")]
    pub memgen_git: Option<String>,
    /// The version of the runtime, for a new crate to depend on; otherwise that of this command.
    #[arg(long, value_name = "VERSION", group = "source")]
    pub memgen_version: Option<String>,
}

impl Options {
    /// What the lock keeps of it. A crate that is there keeps the name and the runtime that were said when it was new.
    fn remembered(&self, known: lock::Options) -> lock::Options {
        let mut now = lock::Options {
            overlay: self.overlay.as_ref().map(|path| relative(&self.out, path)),
            name: self.name.clone().or(known.name),
            ..lock::Options::default()
        };
        let source = &self.source;
        if *source == Source::default() {
            now.memgen_path = known.memgen_path;
            now.memgen_git = known.memgen_git;
            now.memgen_version = known.memgen_version;
        } else {
            let path = source.memgen_path.as_ref();
            now.memgen_path = path.map(|path| relative(&self.out, Path::new(path)));
            now.memgen_git.clone_from(&source.memgen_git);
            now.memgen_version.clone_from(&source.memgen_version);
        }
        now
    }

    /// Where the runtime of a new crate comes from: as it is said now, or was.
    fn dependency(&self, known: &lock::Options) -> Dependency {
        if self.source != Source::default() {
            return self.source.dependency();
        }
        let path = known.memgen_path.as_ref();
        let source = Source {
            memgen_path: path.map(|path| self.out.join(path).to_string_lossy().into_owned()),
            memgen_git: known.memgen_git.clone(),
            memgen_version: known.memgen_version.clone(),
        };
        source.dependency()
    }
}

impl Source {
    /// What stands in the manifest of the crate.
    #[must_use]
    pub fn dependency(&self) -> Dependency {
        if let Some(path) = &self.memgen_path {
            // The manifest is in another folder than this process.
            let path = fs::canonicalize(path)
                .map_or_else(|_| path.clone(), |path| path.to_string_lossy().into_owned());
            return Dependency::Path(path);
        }
        if let Some(url) = &self.memgen_git {
            return Dependency::Git(url.clone());
        }
        let version = self.memgen_version.as_deref();
        Dependency::Version(version.unwrap_or(env!("CARGO_PKG_VERSION")).to_owned())
    }
}

/// A document that was generated from, and what is to be written.
#[derive(Debug)]
pub struct Generated {
    /// What the document says.
    pub api: Api,
    /// What is to be done to the folder. Nothing of it is done yet.
    pub plan: Plan,
}

/// Reads a document, and decides what becomes of its operations.
///
/// The sources are there in either case, since messages need them; the rest is `None` if the document has errors.
pub fn read(
    document: &Path,
    overlay: Option<&Path>,
    diagnostics: &mut Diagnostics,
) -> (Sources, Option<Api>) {
    let (sources, spec) = spec::read_with(document, overlay, diagnostics);
    let Some(mut spec) = spec else {
        return (sources, None);
    };
    let mut api = lower::lower(&mut spec, diagnostics);
    infer::infer(&mut api, &spec, diagnostics);
    if diagnostics.count(Severity::Error) > 0 {
        return (sources, None);
    }
    (sources, Some(api))
}

/// Reads a document, and decides what is to be written for it.
///
/// The sources are there in either case, since messages need them; the rest is `None` if the document has errors.
///
/// # Errors
/// If the folder can't be brought up to date.
pub fn generate(
    document: &Path,
    options: &Options,
    diagnostics: &mut Diagnostics,
) -> Result<(Sources, Option<Generated>), files::Error> {
    let (sources, read) = read(document, options.overlay.as_deref(), diagnostics);
    let Some(api) = read else {
        return Ok((sources, None));
    };
    let known = files::lock(&options.out)?;
    let known = known.map(|lock| lock.options).unwrap_or_default();
    let dependency = options.dependency(&known);
    let remembered = options.remembered(known);
    let name = match &remembered.name {
        Some(name) if let Err(message) = check_package_name(name) => {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: None,
                pointer: String::new(),
                message,
                help: None,
            });
            return Ok((sources, None));
        }
        Some(name) => name.clone(),
        None => package_name(&folder_name(&options.out)),
    };
    let files = emit::emit(
        &api,
        &emit::Options {
            name,
            dependency,
            alone: is_inside_workspace(&options.out),
            known: files::known_tags(&options.out)?,
        },
    );
    let plan = files::plan(
        &options.out,
        files,
        |openapi| {
            Lock::new(
                relative(&options.out, document),
                sources.hash(),
                openapi,
                remembered,
            )
        },
        options.force,
    )?;
    Ok((sources, Some(Generated { api, plan })))
}

/// The last part of a path, also of `.`.
fn folder_name(out: &Path) -> String {
    let absolute = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let absolute = fs::canonicalize(&absolute).unwrap_or(absolute);
    absolute
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Names of crates that generated code refers to, and those that cargo refuses.
const TAKEN: [&str; 8] = [
    "test",
    "memgen",
    "core",
    "std",
    "alloc",
    "proc_macro",
    "serde",
    "schemars",
];

/// Whether cargo takes it for the name of a crate.
fn is_package_name(name: &str) -> bool {
    let good = |one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_';
    name.starts_with(|one: char| one.is_ascii_alphabetic())
        && name.chars().all(good)
        && name.len() <= 64
        && !names::is_keyword(name)
        && !TAKEN.contains(&name)
}

/// Whether it can be the name of a crate.
///
/// # Errors
/// What to write instead.
pub fn check_package_name(name: &str) -> Result<(), String> {
    if is_package_name(name) {
        return Ok(());
    }
    Err(format!(
        "`{name}` can't be the name of a crate: use letters, digits, - and _, and no word that means something already"
    ))
}

/// The nearest name of a crate to that of a folder.
fn package_name(folder: &str) -> String {
    let mut name: String = folder
        .chars()
        .map(|one| {
            if one.is_ascii_alphanumeric() || one == '_' {
                one
            } else {
                '-'
            }
        })
        .take(48)
        .collect();
    name = name.trim_matches('-').to_owned();
    if name.is_empty() {
        return "service".to_owned();
    }
    if !is_package_name(&name) {
        name.insert_str(0, "service-");
    }
    name
}

/// Whether a folder is in a workspace, whose commands would stumble over a crate that is no member.
fn is_inside_workspace(out: &Path) -> bool {
    let absolute = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    absolute.ancestors().skip(1).any(|folder| {
        fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message says where in its own file it is, however the file became a part of the document.
    #[test]
    fn messages_have_the_pointers_of_their_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("paths")).unwrap();
        for (name, text) in [
            (
                "openapi.yaml",
                "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n  /a: {$ref: 'paths/a.yaml#/one'}\n  /b: {get: {parameters: [{name: b, in: there, schema: {}}], responses: {}}}\n",
            ),
            (
                "paths/a.yaml",
                "one: {$ref: '#/other'}\nother:\n  get:\n    parameters: [{name: a, in: here, schema: {}}]\n    responses: {'200': {description: It, content: {application/json: {schema: {$ref: '../s.yaml#/Thing'}}}}}\n",
            ),
            ("s.yaml", "Thing:\n  properties:\n    n: {type: strange}\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut diagnostics = Diagnostics::default();
        let document = folder.path().join("openapi.yaml");
        let (sources, _) = read(&document, None, &mut diagnostics);
        let messages = diagnostics.iter().map(|one| sources.render(one, false));
        let mut places: Vec<String> = messages
            .map(|message| {
                let place = |sign| message.split(sign).nth(1)?.lines().next();
                let (file, pointer) = (place("--> "), place(" = at "));
                format!(
                    "{} {}",
                    file.unwrap_or_default(),
                    pointer.unwrap_or_default()
                )
            })
            .collect();
        places.sort();
        assert_eq!(
            places,
            [
                "openapi.yaml:5:27 #/paths/~1b/get/parameters/0",
                "paths/a.yaml:4:18 #/other/get/parameters/0",
                "s.yaml:3:15 #/Thing/properties/n/type",
            ]
        );
    }
}
