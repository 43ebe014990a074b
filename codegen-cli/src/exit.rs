//! How a command ended.

use std::process::{ExitCode, Termination};

/// The end of a command, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It worked.
    Done = 0,
    /// It failed; the message says why.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// The command worked; the node that it asked is not ready.
    NotReady = 3,
    /// `check`, `--check`: something would have been written; `topics`: a topic is not as it must be.
    OutOfDate = 4,
    /// `check`, `log verify`: the service could not read its log any more.
    Incompatible = 5,
}

/// For the help of the command.
pub const CODES: &str = "Exit codes:
  0  it worked
  1  it failed; the message says why
  2  the arguments are wrong
  3  status: the node is not ready
  4  check, --check: files are not what they should be; topics: a topic is not
  5  check, log verify: the service could not read its log any more";

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
