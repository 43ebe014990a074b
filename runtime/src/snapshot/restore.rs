//! Restoring: the snapshot of a partition, if there is one that fits its log -> a replica that goes on from it.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use super::{Keeper, Unusable, load, peers};
use crate::{
    cluster::Cluster,
    fold::{Horizon, Seen},
    log::{Log, LogError},
    migration::Readers,
    replica::{ReplayError, Replica},
    state::State,
};

/// The replica that a snapshot makes, this node's or one of a peer; none if there is no snapshot that can be used. `seen` is told of the bytes that were read.
///
/// # Errors
/// If the log can't be read. The snapshot stays then.
pub(crate) async fn restore<S: State>(
    log: Arc<dyn Log>,
    keeper: &Arc<Keeper>,
    cluster: Option<&Cluster>,
    horizon: Horizon,
    readers: Arc<Readers<S>>,
    seen: impl Fn(usize),
) -> Result<Option<Replica<S>>, ReplayError> {
    let kept = restore_kept(&log, keeper, horizon, &readers, &seen).await?;
    let Some(cluster) = cluster.filter(|_| kept.is_none()) else {
        return Ok(kept);
    };
    for peer in peers::in_sync(cluster, &keeper.partition) {
        if !peers::copy(keeper, cluster, &peer).await {
            continue;
        }
        let copied = restore_kept(&log, keeper, horizon, &readers, &seen).await?;
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
    seen: impl Fn(usize),
) -> Result<Option<Replica<S>>, ReplayError> {
    let begun = Instant::now();
    let loaded = match load_kept::<S>(keeper, horizon, seen) {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Ok(None),
        Err(unusable) => {
            keeper.discard(&unusable);
            return Ok(None);
        }
    };
    if let Err(misfit) = fits(&**log, keeper, &loaded).await? {
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
    Ok(Some(replica))
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
    load::load(input, horizon, keeper.threads(), admit, seen).map(Some)
}

/// Whether the log is the one that the snapshot is of: it reaches as far, and the last record before the snapshot is the same, if it is still there.
async fn fits<S: State>(
    log: &dyn Log,
    keeper: &Keeper,
    loaded: &load::Loaded<S>,
) -> Result<Result<(), String>, LogError> {
    let partition = &keeper.partition;
    let end = log.end(partition).await?;
    if end < loaded.until {
        return Ok(Err(format!(
            "it goes up to {}, and the log ends at {end}",
            loaded.until
        )));
    }
    let Some(last) = loaded.fold.last() else {
        return Ok(Ok(()));
    };
    // The least that can be read: what is asked for next lies right behind it.
    let chunk = match log.read(partition, last.offset, 1).await {
        Ok(chunk) => chunk,
        Err(error @ LogError::OutOfRange { .. }) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    };
    let found = chunk.records.first();
    let found = found.map(|(offset, record)| Seen::of(*offset, record));
    Ok(match found {
        // Compaction has taken it, if it is not there.
        Some(found) if found.offset == last.offset && found != last => Err(format!(
            "another record is in the log at {} than was there",
            last.offset
        )),
        _ => Ok(()),
    })
}
