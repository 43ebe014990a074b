//! `memgen log`: what is in a partition of a log, what counts in it, and whether a node has the same in memory.
//!
//! The service itself reads its log (`--dump-log`, `--verify-log`): it knows the settings and the types. It may run meanwhile.

use std::io::{self, Write as _};

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;

use crate::{
    cli::Failure,
    exit::Exit,
    fetch,
    service::Service,
    status,
    ui::{Ui, count},
};

/// So often `diff` looks again before it says that there is a difference: a log on one node is compacted without a delay, so what a node had a
/// moment ago may not be in it any more.
const LOOKS: u32 = 3;

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Action {
    /// Prints each record, a line of JSON each: its key and value, who wrote it, and whether it counts, or why not.
    Dump(Of),
    /// Replays the partition as a new owner would, and says what came of it. Fails with 5 if a record can't be read.
    Verify {
        #[command(flatten)]
        of: Of,
        /// For people or for programs.
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: Format,
    },
    /// Replays the partition, and compares what came of it with what a running node has in memory.
    Diff {
        #[command(flatten)]
        of: Of,
        /// The address of the node's admin listener.
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://127.0.0.1:9081",
            env = "MEMGEN_ADMIN_URL"
        )]
        admin: fetch::Base,
    },
}

/// A partition of a service's log.
#[derive(Clone, Debug, Args)]
pub(crate) struct Of {
    /// The topic: that of a state.
    topic: String,
    /// The partition's number, from 0.
    partition: u32,
    #[command(flatten)]
    service: Service,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines.
    Text,
    /// JSON.
    Json,
}

/// What a service says that it has replayed.
#[derive(Debug, Deserialize)]
struct Verified {
    position: u64,
    digest: String,
    keys: u64,
    epoch: u64,
    records: Records,
    to_repair: u64,
    torn: u64,
    answers: u64,
}

#[derive(Debug, Deserialize)]
struct Records {
    entities: u64,
    batches: u64,
    barriers: u64,
    replies: u64,
    fences: u64,
    stale: u64,
    foreign: u64,
}

/// Does it.
///
/// # Errors
/// If the service can't be built or asked, or the node does not answer.
pub(crate) fn run(ui: Ui, action: &Action) -> Result<Exit, Failure> {
    let (Action::Dump(of) | Action::Verify { of, .. } | Action::Diff { of, .. }) = action;
    let Some(program) = of.service.find(ui)? else {
        return Ok(Exit::Failed);
    };
    let partition = format!("{}/{}", of.topic, of.partition);
    match action {
        Action::Dump(_) => of.service.print(&program, &["--dump-log", &partition]),
        Action::Verify { format, .. } => {
            let task = ["--verify-log", &partition];
            let answer = of.service.ask(&program, &task)?;
            if answer.code != Some(0) {
                return Ok(failed(answer.code));
            }
            let mut out = io::stdout();
            match format {
                Format::Json => out.write_all(&answer.text)?,
                Format::Text => say(&mut out, &partition, &serde_json::from_slice(&answer.text)?)?,
            }
            Ok(Exit::Done)
        }
        Action::Diff { admin, .. } => {
            let mut looks = 0;
            loop {
                let (node, at) = status::copy(admin, &of.topic, of.partition)?;
                let task = format!("{partition}@{}", at.position);
                let answer = of.service.ask(&program, &["--verify-log", &task])?;
                if answer.code != Some(0) {
                    return Ok(failed(answer.code));
                }
                let replayed: Verified = serde_json::from_slice(&answer.text)?;
                let place = format!("{partition} at position {}", at.position);
                if (replayed.position, &replayed.digest) == (at.position, &at.digest) {
                    let keys = count(usize::try_from(replayed.keys)?, "key");
                    ui.step(
                        "Same",
                        format_args!("{place}: {keys} in the log and at node {node}"),
                    );
                    return Ok(Exit::Done);
                }
                looks += 1;
                if looks == LOOKS {
                    ui.error(format_args!(
                        "{place}: node {node} has {} keys of digest {}, and the log gives {} of digest {} (at position {}). \
                         `memgen log dump {} {}` shows the log",
                        at.keys, at.digest, replayed.keys, replayed.digest, replayed.position, of.topic, of.partition
                    ));
                    return Ok(Exit::Failed);
                }
            }
        }
    }
}

fn failed(code: Option<i32>) -> Exit {
    if code == Some(i32::from(Exit::Incompatible as u8)) {
        Exit::Incompatible
    } else {
        Exit::Failed
    }
}

fn say(out: &mut impl io::Write, partition: &str, verified: &Verified) -> io::Result<()> {
    let Verified {
        position,
        digest,
        keys,
        epoch,
        records,
        to_repair,
        torn,
        answers,
    } = verified;
    let Records {
        entities,
        batches,
        barriers,
        replies,
        fences,
        stale,
        foreign,
    } = records;
    writeln!(
        out,
        "{partition}: {keys} keys at position {position}, digest {digest}, epoch {epoch}"
    )?;
    writeln!(
        out,
        "records: {entities} of entities, {batches} batches, {barriers} barriers, {replies} replies, {fences} fences"
    )?;
    writeln!(
        out,
        "of these {stale} are stale, and {foreign} not written by memgen"
    )?;
    writeln!(
        out,
        "answers that are remembered: {answers}; keys to repair: {to_repair}; records that a torn batch lacks: {torn}"
    )
}
