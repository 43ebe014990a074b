//! Builds a service by cargo.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::Args;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::{cli::Failure, ui::Ui};

/// Which program is the service.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// The `Cargo.toml` of the service; otherwise that of this folder, or of one around it.
    #[arg(long, value_name = "FILE")]
    manifest_path: Option<PathBuf>,
    /// The package of the service, in a workspace.
    #[arg(long, short, value_name = "NAME")]
    package: Option<String>,
    /// The program that is the service, if its package has several.
    #[arg(long, value_name = "NAME")]
    bin: Option<String>,
}

impl Which {
    /// Builds it. None if cargo has said why that failed.
    ///
    /// # Errors
    /// If there is no cargo, or not one program.
    pub(crate) async fn build(&self, ui: Ui) -> Result<Option<Program>, Failure> {
        let build = Build {
            manifest: self.manifest_path.as_deref(),
            package: self.package.as_deref(),
            binary: self.bin.as_deref(),
            release: false,
            quiet: ui.quiet(),
        };
        let Some(programs) = build.run().await? else {
            ui.error("the build failed");
            return Ok(None);
        };
        one(programs).map(Some)
    }
}

/// The program that is the service.
fn one(mut programs: Vec<Program>) -> Result<Program, Failure> {
    if programs.len() > 1 {
        let names: Vec<String> = programs
            .iter()
            .map(|program| format!("`{}` in {}", program.name, program.folder.display()))
            .collect();
        return Err(format!(
            "there are several programs: say which is the service by --package or --bin: {}",
            names.join(", ")
        )
        .into());
    }
    let only = programs.pop();
    only.ok_or_else(|| "there is no program here: a service is a package with a `main`".into())
}

/// What to build.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build<'b> {
    /// The `Cargo.toml`; otherwise that of the working folder, or of one around it.
    pub(crate) manifest: Option<&'b Path>,
    pub(crate) package: Option<&'b str>,
    pub(crate) binary: Option<&'b str>,
    pub(crate) release: bool,
    pub(crate) quiet: bool,
}

/// A program that was built.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The folder of its package.
    pub(crate) folder: PathBuf,
}

impl Build<'_> {
    /// Builds, with cargo's own messages. The programs; none if the build failed.
    ///
    /// # Errors
    /// If there is no cargo.
    pub(crate) async fn run(&self) -> Result<Option<Vec<Program>>, Failure> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--message-format=json-render-diagnostics"])
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(manifest) = self.manifest {
            cargo.arg("--manifest-path").arg(manifest);
        }
        if let Some(package) = self.package {
            cargo.args(["--package", package]);
        }
        if let Some(binary) = self.binary {
            cargo.args(["--bin", binary]);
        }
        if self.release {
            cargo.arg("--release");
        }
        if self.quiet {
            cargo.arg("--quiet");
        }
        let mut child = cargo.spawn().map_err(|error| {
            format!("cargo can't be started: {error}; install Rust from https://rustup.rs")
        })?;
        let mut programs = Vec::new();
        if let Some(out) = child.stdout.take() {
            let mut lines = BufReader::new(out).lines();
            while let Some(line) = lines.next_line().await? {
                let message: Value = serde_json::from_str(&line).unwrap_or_default();
                programs.extend(program(&message));
            }
        }
        Ok(child.wait().await?.success().then_some(programs))
    }
}

/// The program that a message of cargo's is about.
fn program(message: &Value) -> Option<Program> {
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(Program {
        name: message["target"]["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
        folder: manifest.parent()?.to_owned(),
    })
}
