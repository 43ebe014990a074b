//! Streams: events that come in from topics which others write, and records that go out to topics which others read.
//!
//! # In
//! An *input* is a topic whose events a function takes in (`#[on_event]`). Each partition of it is read by one node at a time: the owner of a partition of the state
//! that the function changes, its *home*. What is for keys of other partitions is handed over to their owners. How far an input partition has been taken in ([`Reached`]) is the value of a
//! key of memgen's own, `\0input/TOPIC/PARTITION`, and goes into the same record or batch as what the events changed. So each event changes the state exactly once, whoever takes over in
//! the middle of it: what was changed was also reached, in every partition for itself.
//!
//! - Home hands over first, waits until all have said that they have it, and writes its own part, with how far it is, last. So what lies before that is done everywhere, and what is read again
//!   after a takeover is passed over wherever it was taken in.
//! - To one partition one message is on its way at a time. So a late one of an owner that was deposed can't leave anything out.
//! - An event that can't be taken in goes to a topic of dead letters, in the same batch, or stops its input there. It is never dropped.
//!
//! # Out
//! What a handler emits is kept in the *outbox*: the value of a key `\0outbox/SEQUENCE`, in the same record or batch as what the handler changed. When that is acknowledged, it goes to its topic,
//! in order, and when it has arrived there, the key is deleted. Whoever takes over in between sends it again: it arrives at least once. Each has the partition that it comes
//! from and a sequence number that grows, so that a reader drops a repeat; inputs of memgen do.
//!
//! Since all of this is values of keys, as what transactions prepare is, a standby and a snapshot know it, and torn batches, repairs and compaction need no rules of their own.
//!
//! | module | what |
//! |---|---|
//! | `emitted`, `outlet` | what handlers emit, and its way to the topic |
//! | `input` | what a function takes in, without its types |
//! | `format` | how an event is read |
//! | `reached` | how far an input partition was taken in |
//! | `batch` | events on their way to a writer |
//! | `consumer`, `entries`, `transactions` | who reads an input partition, and what becomes of each event |
//! | `handed` | events for other partitions |
//! | `origin` | where a record comes from, so that a repeat is told |
//! | `gauges` | what is seen of inputs from outside |
//! | `intake`, `replay` | events by HTTP, and from a file |

mod batch;
mod consumer;
mod emitted;
mod entries;
mod format;
mod gauges;
mod handed;
mod input;
mod intake;
pub(crate) mod origin;
mod outlet;
mod reached;
mod replay;
mod transactions;

use axum::http::StatusCode;

#[cfg(feature = "fuzzing")]
pub(crate) use self::handed::handed_again;
pub(crate) use self::{
    batch::{Batch, Event, Seen, Taken, Work},
    consumer::{Reading, Take, run as read_input},
    emitted::{Emits, Emitted, Outgoing},
    gauges::{Gauge, InputStatus, Inputs},
    handed::{receive, template},
    input::{Consume, Placed, Taker, foreign},
    intake::{Intake, endpoints},
    outlet::{Outlet, deliver},
    reached::{Reached, Taking},
    replay::replay,
};
pub use self::{
    format::Format,
    input::{Declared, Input},
    transactions::EventRan,
};

/// Whether an answer with this status says nothing about the event that was to be taken in: nobody is there for it, or there is no room. It is tried again.
pub(crate) fn is_no_fault_of_the_event(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
    )
}
