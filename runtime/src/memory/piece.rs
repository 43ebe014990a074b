//! Entities that lie behind one another in a snapshot. They stay the bytes that were read until somebody asks for one of them, so that a service that starts need not wait
//! until all that it keeps is decoded.

use std::sync::{Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;

use super::Stored;
use crate::state::State;

/// The place of one key.
pub(crate) struct Place<S: State> {
    pub(super) key: S::Key,
    /// None while there is no such entity.
    pub(super) cell: ArcSwapOption<Stored<S>>,
}

impl<S: State> Place<S> {
    pub(crate) fn new(key: S::Key, stored: Stored<S>) -> Self {
        let cell = ArcSwapOption::from_pointee(stored);
        Self { key, cell }
    }
}

/// Makes the places of a piece from the bytes that it owns.
pub(crate) type Decode<S> = Box<dyn Fn() -> Result<Box<[Place<S>]>, String> + Send>;

/// What of a piece is known without decoding it, and how to.
pub(crate) struct Piece<S: State> {
    first: S::Key,
    last: S::Key,
    len: usize,
    places: OnceLock<Box<[Place<S>]>>,
    /// None once it was decoded: the bytes are not kept.
    decode: Mutex<Option<Decode<S>>>,
}

impl<S: State> Piece<S> {
    /// A piece of so many places, from the first key to the last.
    pub(crate) fn new(first: S::Key, last: S::Key, len: usize, decode: Decode<S>) -> Self {
        Self {
            first,
            last,
            len,
            places: OnceLock::new(),
            decode: Mutex::new(Some(decode)),
        }
    }

    pub(super) fn first(&self) -> &S::Key {
        &self.first
    }

    pub(super) fn last(&self) -> &S::Key {
        &self.last
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Its places, in the order of their keys. Who comes first decodes them, and others wait for that.
    ///
    /// # Errors
    /// If the bytes are not what was said of them. Each call says so again.
    pub(super) fn places(&self) -> Result<&[Place<S>], String> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        // A user's type that panics while it is read leaves everything here as it was.
        let mut decode = self.decode.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(make) = &*decode {
            let places = make()?;
            self.check(&places)?;
            self.places.get_or_init(|| places);
            *decode = None;
        }
        Ok(self.places.get().map_or(&[], |places| places))
    }

    fn check(&self, places: &[Place<S>]) -> Result<(), String> {
        let ends = places.first().zip(places.last());
        let ends_fit =
            ends.is_some_and(|(first, last)| first.key == self.first && last.key == self.last);
        let ascends = |pair: &[Place<S>]| pair[0].key < pair[1].key;
        if places.len() == self.len && ends_fit && places.windows(2).all(ascends) {
            Ok(())
        } else {
            Err("its keys are not in order".to_owned())
        }
    }
}
