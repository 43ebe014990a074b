//! The command `memgen`.
//!
//! - [`status`]: what a node says about itself, as a table.
//! - [`fetch`]: one HTTP request.

mod fetch;
mod status;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use memgen_cli::{diagnostic::Diagnostics, generate};

/// The exit code where the command worked, and the node is not ready.
const EXIT_NOT_READY: u8 = 3;

/// Looks after memgen services.
#[derive(Debug, Parser)]
#[command(name = "memgen", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a crate for an OpenAPI document, or brings it up to date.
    ///
    /// Exit codes: 0 if it is done; 1 if it can't be done; 2 for a mistake in the arguments; 4 if --check finds files that are not those of the document.
    Generate {
        /// The document: YAML or JSON, OpenAPI 3.0 or 3.1.
        spec: PathBuf,
        #[command(flatten)]
        options: generate::Options,
        /// Writes nothing, and fails if something would be written.
        #[arg(long, group = "mode")]
        check: bool,
        /// Writes nothing, and lists what would be.
        #[arg(long, group = "mode")]
        dry_run: bool,
        /// Writes nothing, and shows what would be.
        #[arg(long, group = "mode")]
        diff: bool,
    },
    /// Shows the partitions of a running node.
    ///
    /// Exit codes: 0 if all its partitions serve, 3 if not; 1 if it can't be reached; 2 for a mistake in the arguments.
    Status {
        /// The address of the node's admin listener, as it prints it at its start.
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://127.0.0.1:9081",
            env = "MEMGEN_ADMIN_URL"
        )]
        admin: fetch::Base,
        /// Prints the node's own JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Generate {
            spec,
            options,
            check,
            dry_run,
            diff,
        } => generate(&spec, &options, check, dry_run, diff),
        Command::Status { admin, json } => show_status(&admin, json).map(|ready| {
            if ready {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_NOT_READY)
            }
        }),
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

fn generate(
    spec: &Path,
    options: &generate::Options,
    check: bool,
    dry_run: bool,
    diff: bool,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut diagnostics = Diagnostics::default();
    let (_, generated) = generate::generate(spec, options, &mut diagnostics)?;
    for one in &diagnostics {
        let _ = writeln!(
            io::stderr(),
            "{:?}: {} {}",
            one.severity,
            one.pointer,
            one.message
        );
    }
    let Some(generated) = generated else {
        return Ok(ExitCode::FAILURE);
    };
    let plan = generated.plan;
    let mut out = io::stdout().lock();
    for change in &plan.changes {
        if diff {
            write!(out, "{}", change.diff())?;
        } else {
            writeln!(out, "{change}")?;
        }
    }
    if check {
        return Ok(if plan.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(generate::EXIT_OUT_OF_DATE)
        });
    }
    if !dry_run && !diff {
        plan.apply()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says whether the node is ready.
fn show_status(admin: &fetch::Base, json: bool) -> Result<bool, Box<dyn std::error::Error>> {
    let body = fetch::get(admin, "/status")?;
    let status = status::Status::read(&body).map_err(|error| {
        format!("what {admin}/status answers is not the status of a memgen service: {error}")
    })?;
    let mut out = io::stdout().lock();
    let printed = if json {
        out.write_all(&body).and_then(|()| out.write_all(b"\n"))
    } else {
        write!(out, "{status}")
    };
    match printed {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(status.ready),
        printed => Ok(printed.map(|()| status.ready)?),
    }
}
