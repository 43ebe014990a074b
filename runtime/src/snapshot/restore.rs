//! Restoring: the snapshot of a partition, if there is one that fits its log -> a replica that goes on from it.

use std::sync::Arc;

use tokio::{task::JoinHandle, time::Instant};
use tracing::info;

use super::{Keeper, Unusable, load, peers};
use crate::{
    ambient::{spawn, work},
    cluster::Cluster,
    fold::{Horizon, Seen},
    log::{Log, LogError, TopicPartition},
    migration::Readers,
    record::Offset,
    replica::{ReplayError, Replica},
    state::State,
};

/// What a snapshot makes.
pub(crate) struct Restored<S: State> {
    /// It goes on from the end of the snapshot.
    pub(crate) replica: Replica<S>,
    /// As far as the log reached meanwhile.
    pub(crate) end: Offset,
}

/// The replica that a snapshot makes, this node's or one of a peer; none if there is no snapshot that can be used. `asked` is what [`Keeper::ask`] gave, and `seen` is told of
/// the bytes that were read.
///
/// # Errors
/// If the log can't be read. The snapshot stays then.
pub(crate) async fn restore<S: State>(
    log: Arc<dyn Log>,
    keeper: &Arc<Keeper>,
    cluster: Option<&Cluster>,
    horizon: Horizon,
    readers: Arc<Readers<S>>,
    asked: Option<Asked>,
    seen: impl Fn(usize) + Clone + Send + 'static,
) -> Result<Option<Restored<S>>, ReplayError> {
    let kept = restore_kept(&log, keeper, horizon, &readers, asked, seen.clone()).await?;
    let Some(cluster) = cluster.filter(|_| kept.is_none()) else {
        return Ok(kept);
    };
    for peer in peers::in_sync(cluster, &keeper.partition) {
        let turn = keeper.common.loads.acquire().await;
        let is_there = peers::copy(keeper, cluster, &peer).await;
        drop(turn);
        if !is_there {
            continue;
        }
        let copied = restore_kept(&log, keeper, horizon, &readers, None, seen.clone()).await?;
        if copied.is_some() {
            keeper.metrics.snapshots_copied.inc();
            keeper.look_again();
            return Ok(copied);
        }
    }
    Ok(None)
}

async fn restore_kept<S: State>(
    log: &Arc<dyn Log>,
    keeper: &Arc<Keeper>,
    horizon: Horizon,
    readers: &Arc<Readers<S>>,
    asked: Option<Asked>,
    seen: impl Fn(usize) + Send + 'static,
) -> Result<Option<Restored<S>>, ReplayError> {
    let turn = keeper.common.loads.acquire().await;
    let begun = Instant::now();
    let loading = {
        let keeper = keeper.clone();
        async move { load_kept::<S>(&keeper, horizon, seen) }
    };
    // Off the threads that serve requests; and while the log is waited for below, others load.
    let loaded = work(loading).await;
    drop(turn);
    let loaded = loaded.map_err(|panic| ReplayError::panicked(&keeper.partition, &panic))?;
    let loaded = match loaded {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Ok(None),
        Err(unusable) => {
            keeper.discard(&unusable);
            return Ok(None);
        }
    };
    let ending = match asked {
        Some(asked) => asked.await.ok().transpose()?,
        None => None,
    };
    let last = loaded.head.last();
    let ending = match ending.filter(|ending| ending.last == last) {
        Some(ending) => ending,
        None => Ending::of(&**log, &keeper.partition, last).await?,
    };
    let end = ending.end;
    if let Err(misfit) = ending.fits(loaded.until) {
        keeper.discard(&misfit);
        return Ok(None);
    }
    info!(
        partition = %keeper.partition,
        keys = loaded.keys,
        position = loaded.head.next,
        seconds = begun.elapsed().as_secs_f64(),
        "loaded a snapshot"
    );
    keeper.metrics.snapshots_loaded.inc();
    let mut replica = Replica::new(
        log.clone(),
        keeper.partition.clone(),
        horizon,
        readers.clone(),
    );
    replica.fold = loaded.fold;
    replica.memory = Arc::new(loaded.memory);
    replica.keep(keeper.clone(), loaded.head.current, loaded.until);
    keeper.decode(&replica.memory);
    Ok(Some(Restored { replica, end }))
}

fn load_kept<S: State>(
    keeper: &Keeper,
    horizon: Horizon,
    seen: impl Fn(usize),
) -> Result<Option<load::Loaded<S>>, Unusable> {
    let Some(depot) = &keeper.common.depot else {
        return Ok(None);
    };
    let Some((input, _)) = depot.open(&keeper.partition)? else {
        return Ok(None);
    };
    let admit = |head: &_| keeper.admit(head);
    load::load(input, horizon, admit, seen).map(Some)
}

/// What the log holds where a snapshot ends. It is asked for before the snapshot is read, since both take a while and neither needs the other.
pub(crate) struct Ending {
    /// The last record before the snapshot, as that knows it.
    last: Option<Seen>,
    /// The record that is there now, or the next one behind it; or why there is none.
    found: Result<Option<Seen>, String>,
    /// As far as the log reaches.
    end: Offset,
}

/// An answer that is on its way.
pub(crate) type Asked = JoinHandle<Result<Ending, LogError>>;

impl Keeper {
    /// Asks the log for what is at the end of the snapshot that is kept, if one is.
    pub(crate) fn ask(&self, log: &Arc<dyn Log>) -> Option<Asked> {
        let (log, partition, last) = (log.clone(), self.partition.clone(), self.kept()?.last);
        Some(spawn(
            async move { Ending::of(&*log, &partition, last).await },
        ))
    }
}

impl Ending {
    async fn of(
        log: &dyn Log,
        partition: &TopicPartition,
        last: Option<Seen>,
    ) -> Result<Self, LogError> {
        let end = log.end(partition).await?;
        let found = match last {
            // The least that can be read: what is asked for next lies right behind it.
            Some(last) if last.offset < end => match log.read(partition, last.offset, 1).await {
                Ok(chunk) => {
                    let first = chunk.records.first();
                    Ok(first.map(|(offset, record)| Seen::of(*offset, record)))
                }
                Err(error @ LogError::OutOfRange { .. }) => Err(error.to_string()),
                Err(error) => return Err(error),
            },
            _ => Ok(None),
        };
        Ok(Self { last, found, end })
    }

    /// Whether the log is the one that a snapshot is of: it reaches as far, and the last record before the snapshot is the same, if it is still there.
    fn fits(&self, until: Offset) -> Result<(), String> {
        if self.end < until {
            return Err(format!(
                "it goes up to {until}, and the log ends at {}",
                self.end
            ));
        }
        match (self.last, self.found.clone()?) {
            // Compaction has taken it, if it is not there.
            (Some(last), Some(found)) if found.offset == last.offset && found != last => {
                Err(format!(
                    "another record is in the log at {} than was there",
                    last.offset
                ))
            }
            _ => Ok(()),
        }
    }
}
