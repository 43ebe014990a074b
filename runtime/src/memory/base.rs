//! The entities that a snapshot gave to a memory, ordered by key, in pieces that lie behind one another.
//!
//! Which keys have their place here is decided once, when the snapshot is loaded, and stays so whatever becomes of their entities; a key that comes later has its place in
//! the map beside. So no key has two places, and what a snapshot holds in order already is not searched for once for each of its keys. The price is the key of an
//! entity that was removed: it stays for as long as the memory does.

use std::{
    fmt,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;

use super::Stored;
use crate::state::State;

/// The place of one key.
pub(crate) struct Place<S: State> {
    key: S::Key,
    /// None while there is no such entity.
    cell: ArcSwapOption<Stored<S>>,
}

impl<S: State> Place<S> {
    pub(crate) fn new(key: S::Key, stored: Stored<S>) -> Self {
        let cell = ArcSwapOption::from_pointee(stored);
        Self { key, cell }
    }

    pub(crate) fn key(&self) -> &S::Key {
        &self.key
    }
}

/// All places.
pub(super) struct Base<S: State> {
    /// None is empty.
    pieces: Vec<Box<[Place<S>]>>,
    /// The places with an entity. Only the partition's writer changes it.
    filled: AtomicUsize,
}

impl<S: State> fmt::Debug for Base<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base")
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

impl<S: State> Base<S> {
    /// Of a memory that was not made from a snapshot.
    pub(super) fn empty() -> Self {
        Self {
            pieces: Vec::new(),
            filled: AtomicUsize::new(0),
        }
    }

    /// Places in pieces; none if their keys do not ascend.
    pub(super) fn of(mut pieces: Vec<Box<[Place<S>]>>) -> Option<Self> {
        pieces.retain(|piece| !piece.is_empty());
        let ascends = |pair: &[Place<S>]| pair[0].key < pair[1].key;
        let ascending = pieces.iter().all(|piece| piece.windows(2).all(ascends));
        let apart = pieces
            .windows(2)
            .all(|pair| pair[0].last().map(Place::key) < pair[1].first().map(Place::key));
        (ascending && apart).then(|| Self {
            filled: AtomicUsize::new(pieces.iter().map(|piece| piece.len()).sum()),
            pieces,
        })
    }

    /// How many entities there are.
    pub(super) fn len(&self) -> usize {
        self.filled.load(Ordering::Relaxed)
    }

    /// The cell of a key that has its place here.
    pub(super) fn cell(&self, key: &S::Key) -> Option<&ArcSwapOption<Stored<S>>> {
        let behind = self.pieces.partition_point(|piece| piece[0].key <= *key);
        let piece = &self.pieces[behind.checked_sub(1)?];
        let at = piece.binary_search_by(|place| place.key.cmp(key)).ok()?;
        Some(&piece[at].cell)
    }

    /// Puts an entity into a cell of it, or none, and gives back the one that was there. Only the partition's writer calls it.
    pub(super) fn swap(
        &self,
        cell: &ArcSwapOption<Stored<S>>,
        stored: Option<Arc<Stored<S>>>,
    ) -> Option<Arc<Stored<S>>> {
        let filled = stored.is_some();
        let before = cell.swap(stored);
        if filled && before.is_none() {
            self.filled.fetch_add(1, Ordering::Relaxed);
        }
        if !filled && before.is_some() {
            self.filled.fetch_sub(1, Ordering::Relaxed);
        }
        before
    }

    /// The entities from `from` upwards.
    pub(super) fn upwards(
        &self,
        from: Bound<&S::Key>,
    ) -> impl Iterator<Item = (&S::Key, Arc<Stored<S>>)> {
        let is_before = |place: &Place<S>| match from {
            Bound::Unbounded => false,
            Bound::Included(from) => place.key < *from,
            Bound::Excluded(from) => place.key <= *from,
        };
        let before = self
            .pieces
            .partition_point(|piece| piece.last().is_some_and(is_before));
        let (first, rest) = match self.pieces[before..].split_first() {
            Some((first, rest)) => (&first[first.partition_point(is_before)..], rest),
            None => (&[][..], &[][..]),
        };
        let places = first.iter().chain(rest.iter().flatten());
        places.filter_map(|place| Some((&place.key, place.cell.load_full()?)))
    }
}
