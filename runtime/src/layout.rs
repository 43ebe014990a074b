//! How the values of a state are laid out, and whether a type reads those of another layout.
//!
//! The log outlives the code that wrote it. So the layout of each state is kept with the log, and in `memgen.layouts` beside the project's
//! code: a change after which older values could not be read is found when it is made (`memgen check`), and at the latest before the service starts.
//!
//! In this order: `outline` reads a schema · `candidate` makes values of it · `oracle` is the type that is asked · `discover` finds the layout (`node`, `plain`, `classify`) ·
//! `compare` asks the new type for values of an old layout, and says what it found (`finding`, `tag`) · `asked` is all of that for one type, `state` for a state with its
//! topic and key · `history` is the file · `verdict` is what is said · `guard` admits a service to a log.

mod asked;
mod candidate;
mod classify;
mod compare;
mod discover;
mod finding;
mod guard;
mod history;
mod node;
mod oracle;
mod outline;
mod plain;
mod state;
mod tag;
mod verdict;

pub(crate) use self::{
    asked::Asked,
    guard::{Admitted, Refused, admit, look, parse, retain_written},
    history::History,
    state::AskedState,
    verdict::{StateVerdict, Verdict, Word},
};

#[cfg(test)]
mod tests;
