//! Becoming a partition's owner: rule 2 of the log protocol.
//!
//! Append a barrier with a new ballot, read the log through that barrier. If a higher ballot turns up
//! before it, someone else was faster, or is to be outbid; a barrier that lies where the reading ended has nothing before it. Then nothing that an earlier owner sent and that lies behind the
//! barrier will ever count. Where the log ended before the barrier does not matter, so it is not asked.

use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, warn};

use crate::{
    ambient::now_ms,
    broken::{Bug, is_broken},
    log::{AppendError, LogError, Producer},
    memory::Changes,
    record::{BARRIER_KEY, Ballot, Kind, Offset, Record},
    replica::{ReplayError, Replica},
    state::State,
};

/// How long to wait before the next try, doubled each time up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// The right to append to a partition, for as long as no higher ballot is in its log.
pub(crate) struct Tenure {
    pub(crate) producer: Box<dyn Producer>,
    pub(crate) ballot: Ballot,
    /// The offset that the next record must be given (rule 3).
    pub(crate) next: Offset,
}

/// Why a takeover did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeoverError {
    /// The log has no room for the barrier.
    #[error("the log has no room left: {0}")]
    Full(String),
    /// The log refuses writes.
    #[error("the log refuses writes: {0}")]
    Refused(String),
    /// The partition can't be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Takes the partition over. `epoch` is the highest epoch that this process tried; a later try never uses one again.
/// `seen` is told of each record that is read on the way, and whether it counts.
pub(crate) async fn take_over<S: State>(
    replica: &mut Replica<S>,
    incarnation: u64,
    epoch: &mut u64,
    schema: u64,
    mut seen: impl FnMut(Offset, &Record, bool),
) -> Result<Tenure, TakeoverError> {
    let mut backoff = BACKOFF_MIN;
    loop {
        if replica.may_lose_its_tail() {
            // What this replica took in may have been lost, and the reading through the barrier begins behind it.
            replica.catch_up(None, &mut seen).await?;
        }
        *epoch = 1 + replica.fold.ballot().epoch.max(*epoch);
        let ballot = Ballot::new(*epoch, incarnation);
        let mut producer = replica
            .log
            .producer(&replica.partition)
            .map_err(ReplayError::from)?;
        let barrier = Record {
            place: None,
            ballot,
            kind: Kind::Barrier,
            timestamp_ms: now_ms(),
            schema,
            answered: None,
            key: Bytes::from_static(BARRIER_KEY),
            value: None,
        };
        let sent = replica.moment();
        match producer.append(std::slice::from_ref(&barrier)).await {
            Ok(offsets) => {
                let (at, next) = (offsets[0], offsets[0] + 1);
                let from = replica.fold.next();
                if at < from && replica.may_lose_its_tail() {
                    return Err(replica.lost_its_tail(at).into());
                }
                if at < from {
                    // What was read is not there any more.
                    return Err(TakeoverError::Replay(ReplayError::Log(
                        LogError::OutOfRange {
                            partition: replica.partition.clone(),
                            from,
                            start: 0,
                            end: next,
                        },
                    )));
                }
                if at == from && !replica.may_lose_its_tail() {
                    // Nothing lies between what was read and the barrier: to read it back would tell what is known.
                    seen(at, &barrier, true);
                    replica.step_own(at, &barrier, Changes::None)?;
                } else {
                    replica.catch_up(Some(next), &mut seen).await?;
                }
                replica.is_current_as_of(sent);
                if replica.fold.ballot() == ballot || is_broken(Bug::AnyBarrier) {
                    debug!(partition = %replica.partition, epoch = ballot.epoch, "took over");
                    return Ok(Tenure {
                        producer,
                        ballot,
                        next,
                    });
                }
                debug!(partition = %replica.partition, "someone else took over first");
            }
            Err(AppendError::Full(what)) => return Err(TakeoverError::Full(what)),
            Err(AppendError::Refused(what)) => return Err(TakeoverError::Refused(what)),
            Err(AppendError::Unknown(what)) => {
                warn!(partition = %replica.partition, what, "barrier unconfirmed, trying again");
            }
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}
