//! Older types of a state's values: `#[migrate(from = VertexV1)]`.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{layout::Asked, memory::Stored, state::State};

/// A type that values of `S` had before, and how it becomes an `S`. `#[migrate]` makes it.
pub struct Migration<S> {
    /// The name of the type.
    pub(crate) name: &'static str,
    pub(crate) asked: fn(Option<&str>) -> Asked,
    pub(crate) read: Read<S>,
}

/// Reads a value of some type as an `S`.
type Read<S> = fn(&[u8]) -> Result<S, serde_json::Error>;

impl<S> Migration<S> {
    /// The type `Old`, which was the state before.
    #[doc(hidden)]
    #[must_use]
    pub fn from<Old>(name: &'static str) -> Self
    where
        Old: Serialize + DeserializeOwned + schemars::JsonSchema,
        S: From<Old>,
    {
        Self {
            name,
            asked: Asked::of::<Old>,
            read: |value| serde_json::from_slice::<Old>(value).map(S::from),
        }
    }
}

impl<S> fmt::Debug for Migration<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Migration").field(&self.name).finish()
    }
}

/// How the values of a state are read, by the layout that their records name.
pub(crate) struct Readers<S> {
    /// What this build writes.
    current: u64,
    /// Those that an older type reads.
    migrated: HashMap<u64, (&'static str, Read<S>)>,
    /// Those that are read without a loss, where values may be written again that other builds have written. All others are kept as they are.
    whole: Option<HashSet<u64>>,
}

impl<S: State> Readers<S> {
    /// Reads all as what this build writes.
    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn current(fingerprint: u64) -> Arc<Self> {
        Self::new(fingerprint, &HashMap::new(), Some(HashSet::new()))
    }

    /// `migrated` says which of the migrations reads a layout, `whole` which layouts are read without a loss, if that matters.
    pub(crate) fn new(
        fingerprint: u64,
        migrated: &HashMap<u64, usize>,
        whole: Option<HashSet<u64>>,
    ) -> Arc<Self> {
        let migrations = S::migrations();
        let migrated = migrated.iter().filter_map(|(fingerprint, index)| {
            let migration = migrations.get(*index)?;
            Some((*fingerprint, (migration.name, migration.read)))
        });
        Arc::new(Self {
            current: fingerprint,
            migrated: migrated.collect(),
            whole,
        })
    }

    /// Whether values of this layout may say more than this build has a place for: it lacks fields of them, or they are of a build that came after this node had started.
    /// What is written by other tools names no layout.
    pub(crate) fn is_wider(&self, schema: u64) -> bool {
        let loses = |whole: &HashSet<u64>| !whole.contains(&schema);
        schema != 0 && schema != self.current && self.whole.as_ref().is_some_and(loses)
    }

    /// The fingerprint of what this build writes.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.current
    }

    /// Reads the value of a record. Layouts that nobody knows (of a foreign writer, or compatible ones) are read as what this build writes.
    pub(crate) fn read(
        &self,
        schema: u64,
        key: &S::Key,
        value: &[u8],
    ) -> Result<Stored<S>, String> {
        if schema == self.current {
            return Stored::decode(value).map_err(|error| error.to_string());
        }
        let Some((name, read)) = self.migrated.get(&schema) else {
            let state = serde_json::from_slice(value).map_err(|error| error.to_string())?;
            return Ok(Stored::of_older(state, value));
        };
        let state = read(value).map_err(|error| format!("as `{name}`: {error}"))?;
        if state.key() != *key {
            return Err(format!(
                "the migration from `{name}` changes the key from `{}` to `{}`, but the log is ordered and compacted by keys: keep the key as it is",
                crate::key::key_text::<S>(key),
                crate::key::key_text::<S>(&state.key()),
            ));
        }
        Ok(Stored::of_older(state, value))
    }
}
