//! Transactions over any keys of any partitions: strictly serializable, optimistic, on nothing but the logs of the partitions.
//!
//! The rules are those of `transactions.md` of the design. In short:
//!
//! - What a transaction read and wrote in one partition is its [`Part`] there. Reads carry the versions that were seen; nothing is locked while the function runs.
//! - One of the partitions is its *home*. If there is no other, its writer checks the part and appends one record. That is the common case.
//! - Otherwise home locks its own part and asks the others to *prepare*: each checks, locks, and writes that down ([`Prepared`]) before it says yes. Who refuses does not
//!   wait, so nothing can wait in a circle.
//! - All said yes: home appends one record with its own writes, the answer, and who has to finish ([`Decided`]). That record is the commit.
//! - Then the others *finish*: one record with the writes and the end of what was prepared. When all have, home forgets.
//! - A partition that has prepared and hears nothing asks home. Home knows what it decided, or runs it still, or neither: then it never will, for the owner that ran it
//!   can no longer write, or gave it up itself.
//!
//! What is prepared and decided is kept by the log like everything else, as values of keys of memgen's own: `\0prepared/ID` and `\0decided/ID`. So the rules of batches, of repairs
//! and of compaction hold for them as they are, and a standby that takes over knows them from its fold.
//!
//! | module | what |
//! |---|---|
//! | `ahead` | what was read once, all at once before the next run |
//! | `claims` | the keys that others leave to a transaction that has lost often |
//! | `handle`, `run` | what handlers see, and how often they run |
//! | `id` | which transaction, and which attempt of its home |
//! | `message` | what homes and participants say to each other, and the seam by which they do |
//! | `range` | ranges of keys of one partition |
//! | `text` | what JSON has no place for |
//! | `pending` | what is prepared and decided, as the fold knows it; with it, what streams keep there |
//! | `courier` | how that works: to a writer here, or to a peer |
//! | `reading` | what transactions read, at the owners |
//! | `held` | the keys that readers must wait for |
//! | `locks` | the keys that the writer must not let others have |

mod ahead;
mod claims;
mod courier;
mod handle;
mod held;
mod id;
mod locks;
mod message;
mod pending;
mod range;
mod reading;
mod run;
pub(crate) mod text;

#[cfg(feature = "fuzzing")]
pub(crate) use self::courier::message_again;
pub(crate) use self::{
    claims::Claims,
    courier::{Courier, Inbox, Places, post, receive, template},
    held::{Held, InDoubt},
    id::{Attempt, TxId},
    locks::{Freed, Locks},
    message::{
        Claim, Commit, Committed, Fate, Listing, Lost, Never, Others, Part, Prepare, Read, Version,
        Vote, Was, Write,
    },
    pending::{Decided, Pending, Prepared, decided_key, outbox_key, prepared_key, reached_key},
    range::{KeyRange, Range},
    run::{Answer, take_in, transact},
};
pub use self::{handle::Tx, run::Ran};
