//! A service that is asked something instead of serving.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::{
    cargo::Which,
    cli::{Failure, wait},
    exit::Exit,
    ui::Ui,
};

/// The service whose log it is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Service {
    #[command(flatten)]
    which: Which,
    /// A program that is built already; otherwise cargo builds it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["manifest_path", "package", "bin"])]
    program: Option<PathBuf>,
    /// Settings of the service, behind `--`, such as `-- --log kafka://localhost:9092`. It also reads its memgen.toml, in this folder.
    #[arg(last = true, value_name = "SETTINGS")]
    settings: Vec<OsString>,
}

/// What a service answers.
pub(crate) struct Answer {
    pub(crate) text: Vec<u8>,
    /// Its exit code.
    pub(crate) code: Option<i32>,
}

impl Service {
    /// Where its program is. None if cargo has said why it can't be built.
    ///
    /// # Errors
    /// If there is no cargo, or not one program.
    pub(crate) fn find(&self, ui: Ui) -> Result<Option<PathBuf>, Failure> {
        match &self.program {
            Some(program) => Ok(Some(program.clone())),
            None => Ok(wait(self.which.build(ui))?.map(|program| program.path)),
        }
    }

    /// Asks it, and passes on what it says on standard error.
    ///
    /// # Errors
    /// If it can't be started.
    pub(crate) fn ask(&self, program: &Path, task: &[&str]) -> Result<Answer, Failure> {
        let output = self.command(program, task).stdout(Stdio::piped()).output();
        let output = output.map_err(starting(program))?;
        Ok(Answer {
            text: output.stdout,
            code: output.status.code(),
        })
    }

    /// Lets it print what it is asked for.
    ///
    /// # Errors
    /// If it can't be started.
    pub(crate) fn print(&self, program: &Path, task: &[&str]) -> Result<Exit, Failure> {
        let status = self.command(program, task).status();
        let status = status.map_err(starting(program))?;
        Ok(if status.success() {
            Exit::Done
        } else {
            Exit::Failed
        })
    }

    fn command(&self, program: &Path, task: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(task)
            .args(&self.settings)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        command
    }
}

fn starting(program: &Path) -> impl FnOnce(std::io::Error) -> String + '_ {
    move |error| format!("{}: {error}", program.display())
}
