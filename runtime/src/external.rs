//! External state: a view, at each node, of a topic that others write (`#[external]`).
//!
//! The topic is a *table*: the last record of each key is what the key is, and a record without a value deletes it. Each node follows all partitions of it from their start and keeps all
//! of it in memory, as a standby keeps a copy of a state. It is read where the request is, and written by nobody here: there is no owner, no lock and no ballot.
//!
//! What is looked up in it is what this node has seen by then. It is no part of what transactions are serialized by, so it is not looked up in the [`Tx`](crate::Tx) but in an argument of
//! its own, [`External`]. Replay does not depend on it: a handler runs once, and the log keeps what it changed.
//!
//! The topic is read by the very loop that reads the inputs of functions ([`stream`](crate::stream)), with what is seen of it in the same places; only that its home is at every node, and that how
//! far it has come is not kept: memory is lost with the process, so each start begins at the beginning.
//!
//! | module | what |
//! |---|---|
//! | `folded` | an external type as a state, to all that reads: keys, pages, descriptions |
//! | `view` | what a node has |
//! | `follow` | a topic's partition -> the view |
//! | `values` | how a value is read of a record |
//! | `handle` | what handlers have of it; the views of a node |
//! | `http` | `crud(get, list)` |
//! | `part` | it as a part of a service |

mod folded;
mod follow;
mod handle;
mod http;
mod part;
mod values;
mod view;

pub(crate) use self::{
    handle::Kept,
    part::PartOfExternal,
    view::{AnyView, ExternalStatus},
};
pub use self::{
    handle::{External, Externals},
    values::Values,
};

use crate::{
    key::{KeyError, KeyReader, KeyWriter},
    state::{Definition, StateData},
};

/// A struct whose instances are folded from a topic that others write. `#[external]` implements it.
///
/// It is no [`State`](crate::State): nothing here changes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no external state",
    label = "not an external state",
    note = "annotate the struct with `#[external(topic = \"…\")]`; entities of a state are read by `Store<S>`, `&mut Tx` or `&mut Entry<S>`"
)]
pub trait ExternalState: StateData {
    /// The key: the type of the `#[key]` field, or a tuple of the types of all.
    type Key: Ord + Clone + Send + Sync + 'static;

    /// What was declared.
    const DEFINITION: Definition;

    /// The key of this value.
    fn key(&self) -> Self::Key;

    /// Writes each part of the key, in order.
    fn write_key(key: &Self::Key, writer: &mut KeyWriter<'_>);

    /// Reads each part of the key, in order.
    ///
    /// # Errors
    /// [`KeyError`] names the field whose text is not one of its type.
    fn read_key(reader: &mut KeyReader<'_>) -> Result<Self::Key, KeyError>;

    /// How values are read.
    fn values() -> Values<Self>;
}
