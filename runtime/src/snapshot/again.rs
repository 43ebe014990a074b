//! For the fuzzer: a snapshot, read and written again.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::{
    load::{Loaded, load},
    write::{Cut, write},
};
use crate::{fold::Horizon, state::State};

/// More than a short snapshot holds.
const HORIZON: Horizon = Horizon {
    age_ms: u64::MAX,
    replies_max: usize::MAX,
    replies_bytes_max: usize::MAX,
};

/// The bytes of a snapshot that is the same as this one, but for how it is divided. All of its entities are decoded.
///
/// # Errors
/// Why it can't be used.
pub(crate) fn again<S: State>(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let loaded =
        load::<S>(bytes, HORIZON, |_| Ok(()), |_| {}).map_err(|error| error.to_string())?;
    let Loaded {
        head, memory, fold, ..
    } = loaded;
    let mut pieces = 0..;
    while pieces.next().is_some_and(|piece| memory.decode(piece)) {}
    if let Some(why) = memory.spoilt().get() {
        return Err(why.clone());
    }
    let cut = Cut {
        fold,
        memory: Arc::new(memory),
        current: head.current,
    };
    let written = write(&cut, &head, Vec::new(), || std::future::ready(Ok(()))).now_or_never();
    let (bytes, _) = written
        .expect("nothing is waited for")
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}
