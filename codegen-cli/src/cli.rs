//! The arguments of the command `memgen`, and what each subcommand does with them.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::{
    check, dev,
    diagnostic::Diagnostics,
    exit::{CODES, Exit},
    fetch, files, generate, inspect, log, new,
    servers::background,
    status::{self, Overview},
    topics,
    ui::{Color, Ui, count},
    upgrade,
};

/// Writes, runs and looks after memgen services.
#[derive(Debug, Parser)]
#[command(name = "memgen", version, arg_required_else_help = true, after_help = CODES)]
pub struct Arguments {
    /// Says only what is wrong.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generates, builds and runs the service of an OpenAPI document, and follows changes of it and of your files.
    Dev(dev::Options),
    /// Writes the crate of an OpenAPI document, or brings it up to date.
    Generate {
        /// The document: YAML or JSON, OpenAPI 3.0 or 3.1.
        spec: PathBuf,
        #[command(flatten)]
        options: generate::Options,
        /// Writes nothing, and fails (4) if something would be written.
        #[arg(long, group = "mode")]
        check: bool,
        /// Writes nothing, and lists what would be.
        #[arg(long, group = "mode")]
        dry_run: bool,
        /// Writes nothing, and shows what would be.
        #[arg(long, group = "mode")]
        diff: bool,
    },
    /// Shows what becomes of each operation of an OpenAPI document. Writes nothing.
    Inspect {
        /// The document: YAML or JSON, OpenAPI 3.0 or 3.1.
        spec: PathBuf,
        /// An overlay (OpenAPI Overlay 1.0) for the document.
        #[arg(long, value_name = "FILE")]
        overlay: Option<PathBuf>,
        /// For people or for programs.
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: Format,
    },
    /// Builds a service, and says whether it could still read the log that earlier versions of it have written.
    ///
    /// What was accepted is in memgen.layouts. Fails with 5 if older values could not be read, and with 4 if a compatible change is not recorded yet.
    Check(check::Options),
    /// Makes a new project that builds, runs and tests itself.
    New(new::Options),
    /// Brings a project's scaffold and generated files up to this version of memgen. Your lines stay.
    Upgrade(upgrade::Options),
    /// Shows the nodes of a running service, and its partitions: who owns and who follows each.
    ///
    /// Fails with 3 if the node that is asked is not ready.
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
    /// Makes and checks the topics of a service in Kafka.
    #[command(subcommand)]
    Topics(topics::Action),
    /// Looks at the log of a service: what is in a partition, what counts in it, and whether a node has the same in memory.
    #[command(subcommand)]
    Log(log::Action),
    /// Lets a node give its partitions to others, so that it can be stopped without a pause. It is done when it owns none.
    Drain {
        /// The node's name, as `memgen status` shows it.
        node: String,
        /// The address of the admin listener of any node.
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://127.0.0.1:9081",
            env = "MEMGEN_ADMIN_URL"
        )]
        admin: fetch::Base,
    },
    /// Starts and stops Kafka and `ZooKeeper` on this machine, for development. It takes Java and Maven.
    #[command(subcommand)]
    Servers(background::Action),
    /// Prints what a shell needs to complete this command's arguments: `memgen completions bash > /etc/bash_completion.d/memgen`.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page, or writes one for each subcommand.
    Man {
        /// The folder to write pages into.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// How often `drain` looks.
const DRAIN_POLL: std::time::Duration = std::time::Duration::from_millis(100);

/// An error that ends the command, in words.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Does what the arguments of the process say.
#[must_use]
pub fn run() -> Exit {
    let Arguments {
        quiet,
        color,
        command,
    } = Arguments::parse();
    let ui = Ui::new(quiet, color);
    let outcome = match command {
        Command::Dev(options) => dev::run(ui, &options),
        Command::Generate {
            spec,
            options,
            check,
            dry_run,
            diff,
        } => {
            let mode = match (check, dry_run, diff) {
                (true, ..) => Mode::Check,
                (_, true, _) => Mode::List,
                (.., true) => Mode::Diff,
                _ => Mode::Write,
            };
            generate(ui, &spec, &options, mode)
        }
        Command::Inspect {
            spec,
            overlay,
            format,
        } => inspect(ui, &spec, overlay.as_deref(), format),
        Command::Check(options) => wait(check::run(ui, &options)),
        Command::New(options) => new::run(ui, &options),
        Command::Upgrade(options) => upgrade::run(ui, &options),
        Command::Status { admin, json } => show_status(&admin, json),
        Command::Topics(action) => topics::run(ui, &action),
        Command::Log(action) => log::run(ui, &action),
        Command::Drain { node, admin } => drain(ui, &node, &admin),
        Command::Servers(action) => background::run(ui, &action),
        Command::Completions { shell } => completions(shell),
        Command::Man { dir } => man(dir),
    };
    outcome.unwrap_or_else(|error| {
        // Whoever reads the results has seen enough.
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            return Exit::Done;
        }
        ui.error(error);
        Exit::Failed
    })
}

/// Runs what waits for other programs.
pub(crate) fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// How `inspect` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns.
    Table,
    /// JSON.
    Json,
}

fn inspect(ui: Ui, spec: &Path, overlay: Option<&Path>, format: Format) -> Result<Exit, Failure> {
    let mut diagnostics = Diagnostics::default();
    let (sources, api) = generate::read(spec, overlay, &mut diagnostics);
    ui.diagnostics(&sources, &diagnostics);
    let Some(api) = api else {
        return Ok(Exit::Failed);
    };
    let mut out = io::stdout().lock();
    match format {
        Format::Table => write!(out, "{}", inspect::table(&api, &sources))?,
        Format::Json => writeln!(out, "{:#}", inspect::json(&api, &sources))?,
    }
    Ok(Exit::Done)
}

/// What `generate` does with what it has found out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    Check,
    List,
    Diff,
}

fn generate(ui: Ui, spec: &Path, options: &generate::Options, mode: Mode) -> Result<Exit, Failure> {
    let mut diagnostics = Diagnostics::default();
    let ((sources, generated), seconds) = {
        let (outcome, seconds) = ui.timed("Reading", || {
            generate::generate(spec, options, &mut diagnostics)
        });
        match outcome {
            Ok(outcome) => (outcome, seconds),
            // What was edited is not what the document says, either.
            Err(error @ files::Error::Refused(_)) if mode == Mode::Check => {
                ui.error(error);
                return Ok(Exit::OutOfDate);
            }
            Err(error) => return Err(error.into()),
        }
    };
    ui.diagnostics(&sources, &diagnostics);
    let Some(generated) = generated else {
        return Ok(Exit::Failed);
    };
    let plan = generated.plan;
    let mut out = io::stdout().lock();
    for change in &plan.changes {
        match mode {
            Mode::Diff => write!(out, "{}", change.diff())?,
            Mode::List => writeln!(out, "{change}")?,
            Mode::Write | Mode::Check => {}
        }
    }
    plan.warn(ui);
    match mode {
        Mode::Check if !plan.is_empty() => {
            for change in &plan.changes {
                writeln!(out, "{change}")?;
            }
            ui.error(format_args!(
                "{} not what the document says: run `memgen generate` without --check",
                if plan.changes.len() == 1 {
                    "1 file is".to_owned()
                } else {
                    format!("{} files are", plan.changes.len())
                }
            ));
            return Ok(Exit::OutOfDate);
        }
        Mode::Write => {
            plan.apply()?;
            let what = if plan.is_empty() {
                "all files are up to date".to_owned()
            } else {
                format!(
                    "{} in {}",
                    count(plan.changes.len(), "file"),
                    options.out.display()
                )
            };
            ui.step("Generated", format_args!("{what}, {seconds:.2} s"));
        }
        _ => {}
    }
    Ok(Exit::Done)
}

fn show_status(admin: &fetch::Base, json: bool) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let status = status::read(admin)?;
    let ready = status.ready;
    if json {
        out.write_all(&fetch::get(admin, "/status")?)?;
        out.write_all(b"\n")?;
    } else {
        write!(out, "{}", Overview::of(status))?;
    }
    Ok(if ready { Exit::Done } else { Exit::NotReady })
}

fn drain(ui: Ui, node: &str, admin: &fetch::Base) -> Result<Exit, Failure> {
    let of_node = status::admin_of(admin, node)?;
    if !status::read(&of_node)?.has_others(node) {
        return Err(format!("no other node could take the partitions of `{node}`").into());
    }
    fetch::post(&of_node, "/drain")?;
    let mut before = None;
    loop {
        let left = status::read(&of_node)?.owned_by(node);
        if before != Some(left) {
            ui.step(
                "Draining",
                format_args!("{node} owns {}", count(left, "partition")),
            );
            before = Some(left);
        }
        if left == 0 {
            return Ok(Exit::Done);
        }
        std::thread::sleep(DRAIN_POLL);
    }
}

fn completions(shell: Shell) -> Result<Exit, Failure> {
    // In memory first: it panics where it can't write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "memgen", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}

fn man(folder: Option<PathBuf>) -> Result<Exit, Failure> {
    let command = Arguments::command();
    match folder {
        None => clap_mangen::Man::new(command).render(&mut io::stdout())?,
        Some(folder) => {
            fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(command, folder)?;
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
