//! Builds a service by cargo.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::cli::Failure;

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
