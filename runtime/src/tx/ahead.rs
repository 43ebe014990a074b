//! Ahead: what one run of a transaction has read, the next run reads at its beginning and all at once. The shorter the time between the first read and the commit, the less often others
//! change something in between: a function that reads one key after the other gets along with others at the latest at its second run.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::{Was, reading};
use crate::{
    key::parse_key,
    node::Node,
    problem::{Problem, Result},
    state::State,
};

/// How many reads are under way at once.
const AT_ONCE: usize = 256;

/// A key of a topic.
pub(super) type Place = (&'static str, String);

/// What was found at a key: an `Arc<Stored<S>>`, if anything.
pub(super) type Found = (Was, Option<Arc<dyn Any + Send + Sync>>);

/// How a key is read, whatever its type.
pub(super) type Again = fn(Arc<Node>, String, Instant) -> BoxFuture<'static, Result<Found>>;

/// Reads a key of `S`.
pub(super) fn again<S: State>(
    node: Arc<Node>,
    key: String,
    deadline: Instant,
) -> BoxFuture<'static, Result<Found>> {
    Box::pin(async move {
        let key = parse_key::<S>(&key).map_err(Problem::internal)?;
        let slot = node.partitions::<S>()?.locate(&key);
        let (was, stored) = reading::read(slot, &key, deadline).await?;
        Ok((was, stored.map(|stored| stored as _)))
    })
}

/// Reads these keys. Those that can't be read are left out: whoever needs them will see why.
pub(super) async fn read(
    node: &Arc<Node>,
    keys: &[(Place, Again)],
    deadline: Instant,
) -> BTreeMap<Place, Found> {
    let mut found = BTreeMap::new();
    for some in keys.chunks(AT_ONCE) {
        let reads = some
            .iter()
            .map(|((_, key), again)| again(node.clone(), key.clone(), deadline));
        let read = join_all(reads).await.into_iter();
        let there = some
            .iter()
            .zip(read)
            .filter_map(|((place, _), read)| Some((place.clone(), read.ok()?)));
        found.extend(there);
    }
    found
}
