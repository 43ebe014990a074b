//! The entities that a snapshot gave to a memory, ordered by key, in pieces that lie behind one another.
//!
//! Which keys have their place here is decided once, when the snapshot is loaded, and stays so whatever becomes of their entities; a key that comes later has its place in
//! the map beside. So no key has two places, and what a snapshot holds in order already is not searched for once for each of its keys. The price is the key of an
//! entity that was removed: it stays for as long as the memory does.
//!
//! A piece is decoded when it is first looked at. The bytes were found to be those that were written, by a build with the same layout of values, so that can hardly fail. If it does, whoever looks panics, since
//! nobody knows what is there; and the memory is *spoilt*, upon which its partition discards it and reads the log.

use std::{
    fmt,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use tokio::sync::SetOnce;

use super::{
    Stored,
    piece::{Piece, Place},
};
use crate::state::State;

/// All places.
pub(super) struct Base<S: State> {
    pieces: Vec<Piece<S>>,
    /// The places with an entity. Only the partition's writer changes it.
    filled: AtomicUsize,
    /// Why a piece can't be decoded.
    spoilt: SetOnce<String>,
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
            spoilt: SetOnce::new(),
        }
    }

    /// Pieces behind one another; none if they are not.
    pub(super) fn of(pieces: Vec<Piece<S>>) -> Option<Self> {
        let apart = pieces
            .windows(2)
            .all(|pair| pair[0].last() < pair[1].first());
        (apart && pieces.iter().all(|piece| piece.first() <= piece.last())).then(|| Self {
            filled: AtomicUsize::new(pieces.iter().map(Piece::len).sum()),
            pieces,
            spoilt: SetOnce::new(),
        })
    }

    /// How many entities there are.
    pub(super) fn len(&self) -> usize {
        self.filled.load(Ordering::Relaxed)
    }

    /// Decodes a piece, if nobody has: whether there is such a piece, and it could be.
    pub(super) fn decode(&self, number: usize) -> bool {
        let piece = self.pieces.get(number);
        let places = piece.map(|piece| self.try_places(piece));
        places.is_some_and(|places| places.is_ok())
    }

    /// Why a piece can't be decoded, once that is so.
    pub(super) fn spoilt(&self) -> &SetOnce<String> {
        &self.spoilt
    }

    fn spoil(&self, why: String) {
        // Another piece may have been first.
        let _ = self.spoilt.set(why);
    }

    fn try_places<'p>(&self, piece: &'p Piece<S>) -> Result<&'p [Place<S>], String> {
        piece.places().inspect_err(|why| self.spoil(why.clone()))
    }

    fn places<'p>(&self, piece: &'p Piece<S>) -> &'p [Place<S>] {
        self.try_places(piece)
            .unwrap_or_else(|why| nobody_knows(&why))
    }

    /// The cell of a key that has its place here.
    ///
    /// # Errors
    /// If its piece can't be decoded.
    pub(super) fn try_cell(
        &self,
        key: &S::Key,
    ) -> Result<Option<&ArcSwapOption<Stored<S>>>, String> {
        let behind = self.pieces.partition_point(|piece| piece.first() <= key);
        let piece = behind.checked_sub(1).map(|at| &self.pieces[at]);
        let Some(piece) = piece.filter(|piece| key <= piece.last()) else {
            return Ok(None);
        };
        let places = self.try_places(piece)?;
        let at = places.binary_search_by(|place| place.key.cmp(key));
        Ok(at.ok().map(|at| &places[at].cell))
    }

    /// The cell of a key that has its place here.
    ///
    /// # Panics
    /// If its piece can't be decoded.
    pub(super) fn cell(&self, key: &S::Key) -> Option<&ArcSwapOption<Stored<S>>> {
        self.try_cell(key).unwrap_or_else(|why| nobody_knows(&why))
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
    pub(super) fn upwards<'b>(
        &'b self,
        from: Bound<&'b S::Key>,
    ) -> impl Iterator<Item = (&'b S::Key, Arc<Stored<S>>)> {
        let is_before = move |key: &S::Key| match from {
            Bound::Unbounded => false,
            Bound::Included(from) => key < from,
            Bound::Excluded(from) => key <= from,
        };
        let before = self.pieces.partition_point(|piece| is_before(piece.last()));
        let pieces = self.pieces[before..].iter();
        // All but the first lie behind `from`, and a search finds so at their first key.
        let places = pieces.flat_map(move |piece| {
            let places = self.places(piece);
            &places[places.partition_point(|place| is_before(&place.key))..]
        });
        places.filter_map(|place| Some((&place.key, place.cell.load_full()?)))
    }
}

fn nobody_knows(why: &str) -> ! {
    panic!("a snapshot that was loaded can't be read: {why}")
}
