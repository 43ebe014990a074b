//! Transactions over any keys of any partitions: strictly serializable, optimistic, on nothing but the logs of the partitions.
//!
//! The rules are those of `transactions.md` of the design. In short:
//!
//! - What a transaction read and wrote in one partition is its [`Part`] there. Reads carry the versions that were seen; nothing is locked while the function runs.
//! - One of the partitions is its *home*. If there is no other, its writer checks the part and appends one record. That is the common case.
//! - Otherwise all *prepare*, at the same time: home, and the others as it asks them to. Each checks, locks, and writes that down ([`Prepared`]) before it says yes. Who refuses does not
//!   wait, so nothing can wait in a circle. Home writes down as well who the others are, and what is to be answered ([`Lead`]).
//! - All have prepared: that is the commit, and home answers. So it takes as long as one record.
//! - Home *finishes*: one record with its own writes, the answer, and who else has to finish ([`Decided`]). When that is there the others do: one record with the writes and the end of what
//!   was prepared. When all have, home forgets.
//! - A partition that has prepared and hears nothing asks home. Home knows what it decided, or runs it still, or neither: then it never will, for it gave it up itself.
//! - A new owner of home that finds what it leads prepared, and not decided, asks the others ([`Poll`]), and each writes down ([`Floor`]) that it
//!   prepares nothing more for whoever owned home before. All have prepared: it is committed, may have been answered, and stays so. One has not: it never will, so that an owner that does not know
//!   that it is over can't find all prepared either.
//!
//! Parallel commits of this kind are those of `CockroachDB`; the model is `tests/model/transactions.py`.
//!
//! What is prepared and decided is kept by the log like everything else, as values of keys of memgen's own: `\0prepared/ID`, `\0decided/ID` and `\0floor/HOME`. So the rules of batches, of repairs
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
//! | `places` | where a partition is: its writer here, or a peer |
//! | `courier` | what is said to it there |
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
mod places;
mod range;
mod reading;
mod run;
pub(crate) mod text;

#[cfg(feature = "fuzzing")]
pub(crate) use self::courier::message_again;
pub(crate) use self::{
    claims::Claims,
    courier::{Courier, post, receive, template},
    held::{Held, InDoubt},
    id::{Attempt, TxId},
    locks::{Freed, Locks},
    message::{
        Claim, Commit, Committed, Fate, Listing, Lost, Never, Others, Part, Poll, Prepare, Read,
        Version, Vote, Was, Write,
    },
    pending::{
        Decided, Floor, Lead, Pending, Prepared, decided_key, floor_key, outbox_key, prepared_key,
        reached_key,
    },
    places::{Inbox, Places},
    range::{KeyRange, Range},
    run::{Answer, take_in, transact},
};
pub use self::{handle::Tx, run::Ran};
