//! Which keys of a partition a feed shows.

use std::{any::TypeId, ops::Bound};

use crate::{
    key::{key_text, parse_key},
    partitions::{Keys, just},
    state::State,
};

/// Which keys a feed shows.
pub(crate) enum Filter<S: State> {
    /// One, whether it exists or not.
    Key(S::Key),
    /// Those whose text begins so.
    Prefix {
        prefix: String,
        /// Where to begin to look, if keys are in the order of their text.
        first: Option<S::Key>,
    },
}

impl<S: State> Clone for Filter<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Key(key) => Self::Key(key.clone()),
            Self::Prefix { prefix, first } => Self::Prefix {
                prefix: prefix.clone(),
                first: first.clone(),
            },
        }
    }
}

impl<S: State> Filter<S> {
    pub(crate) fn prefix(prefix: String) -> Self {
        let by_text = TypeId::of::<S::Key>() == TypeId::of::<String>();
        let first = by_text.then(|| parse_key::<S>(&prefix).ok()).flatten();
        Self::Prefix { prefix, first }
    }

    pub(crate) fn passes(&self, key: &S::Key) -> bool {
        match self {
            Self::Key(only) => only == key,
            Self::Prefix { prefix, .. } => {
                prefix.is_empty() || key_text::<S>(key).starts_with(prefix)
            }
        }
    }

    /// Where a walk through all keys may begin.
    pub(crate) fn first(&self) -> Option<&S::Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Prefix { first, .. } => first.as_ref(),
        }
    }

    /// Where those that pass are.
    pub(crate) fn keys(&self) -> Keys<'_, S::Key> {
        match self {
            Self::Key(key) => just(key),
            Self::Prefix { first, .. } => {
                let from = first.as_ref().map_or(Bound::Unbounded, Bound::Included);
                Some((from, Bound::Unbounded))
            }
        }
    }

    /// Whether no key behind this one passes, given that this one does not.
    pub(crate) fn is_past(&self, key: &S::Key) -> bool {
        self.first().is_some_and(|first| key > first)
    }
}
