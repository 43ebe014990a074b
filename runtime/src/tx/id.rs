//! Which transaction, and which attempt of its home.

use std::{
    fmt,
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    ambient::{is_simulated, unique},
    record::Ballot,
};

/// A transaction, for as long as it is tried. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TxId(u128);

/// Where this process begins to count. Two processes do not meet: each begins at random, in a space that none goes through.
static FIRST: LazyLock<u128> = LazyLock::new(|| unique().as_u128());
static COUNT: AtomicU64 = AtomicU64::new(0);

impl TxId {
    /// One that nobody else has.
    pub(crate) fn new() -> Self {
        if is_simulated() {
            return Self(unique().as_u128());
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(FIRST.wrapping_add(count.into()))
    }

    #[cfg(test)]
    pub(crate) const fn of(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TxId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(number) if digits => Ok(Self(number)),
            _ => Err(format!("`{text}` is no id of a transaction")),
        }
    }
}

impl Serialize for TxId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TxId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One start of a transaction by its home. Later ones are greater, also at a later owner; no two are the same.
///
/// All that home and the others say to each other is about one attempt: without it, an abort of an earlier attempt releases what a later one has prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The ballot of the owner.
    pub(crate) epoch: u64,
    pub(crate) incarnation: u64,
    /// Counted by the owner.
    pub(crate) number: u64,
}

impl Attempt {
    /// In whose tenure it was begun.
    pub(crate) const fn ballot(&self) -> Ballot {
        Ballot::new(self.epoch, self.incarnation)
    }
}
