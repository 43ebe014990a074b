//! What happened when: requests, errors, faults, and how long clients had to wait for each fault.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::load::Done;
use crate::waits::Waits;

/// What happened to a cluster, from its start on.
#[derive(Debug)]
pub struct Timeline {
    pub(super) began: Instant,
    /// When each request was answered.
    pub(super) answered: Vec<Instant>,
    /// When each error was seen.
    pub(super) failed: Vec<Instant>,
    pub(super) faults: Vec<Fault>,
}

/// One thing that was done to it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: String,
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// By what it was seen to have had its effect; none if it was not.
    pub(super) sign: Option<String>,
    /// The longest that any client waited for an answer meanwhile, if there were clients to be seen.
    pub(super) recovery: Option<Duration>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            answered: Vec::new(),
            failed: Vec::new(),
            faults: Vec::new(),
        }
    }
}

impl Timeline {
    /// What the clients of a load saw.
    pub(super) fn add(&mut self, done: &Done) {
        let answered = done.waits.iter().map(|wait| wait.began + wait.took);
        self.answered.extend(answered);
        self.failed
            .extend(done.failed.iter().map(|failed| failed.at));
    }

    /// How many faults were seen to have had their effect.
    #[must_use]
    pub fn confirmed(&self) -> usize {
        self.faults
            .iter()
            .filter(|fault| fault.sign.is_some())
            .count()
    }

    /// The recovery times of each kind of fault, and how many of it there were and were confirmed.
    pub(super) fn kinds(&self) -> BTreeMap<&str, Kind> {
        let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
        for fault in &self.faults {
            let kind = kinds.entry(&fault.kind).or_default();
            kind.number += 1;
            kind.confirmed += usize::from(fault.sign.is_some());
            kind.recoveries.add(fault.recovery);
        }
        kinds
    }
}

/// All faults of one kind.
#[derive(Debug, Default)]
pub(super) struct Kind {
    pub(super) number: usize,
    pub(super) confirmed: usize,
    pub(super) recoveries: Waits,
}
