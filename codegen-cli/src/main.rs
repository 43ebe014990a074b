//! The command `memgen`.
//!
//! - [`status`]: what a node says about itself, as a table.
//! - [`fetch`]: one HTTP request.

mod fetch;
mod status;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

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
    let Command::Status { admin, json } = Arguments::parse().command;
    match show_status(&admin, json) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_NOT_READY),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
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
