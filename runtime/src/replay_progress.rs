//! How far the replay of all partitions is.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{progress::Progress, record::Record};

/// The replays of a process, which advance it side by side. The unit is bytes of records, since how many records a log holds is known
/// only at its end.
pub(crate) struct ReplayProgress {
    started: Instant,
    records: AtomicU64,
    bytes: AtomicU64,
    reported: Mutex<Option<(Progress, u64)>>,
}

impl ReplayProgress {
    pub(crate) fn new(total_bytes: Option<u64>) -> Self {
        let started = Instant::now();
        let progress = Progress::new("replaying the log", "bytes", total_bytes, started);
        Self {
            started,
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            reported: Mutex::new(Some((progress, 0))),
        }
    }

    /// Counts a record that was read.
    pub(crate) fn add(&self, record: &Record) {
        let bytes = crate::record::codec::encoded_bytes(record);
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts what was read of a snapshot.
    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Writes a line if one is due.
    pub(crate) fn report(&self) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.bytes.load(Ordering::Relaxed);
        if let Some((progress, before)) = reported.as_mut() {
            progress.report(bytes - *before, Instant::now());
            *before = bytes;
        }
    }

    /// Writes the last line, if it took long enough for lines.
    pub(crate) fn finish(&self) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((mut progress, before)) = reported.take() {
            let now = Instant::now();
            progress.report(self.bytes.load(Ordering::Relaxed) - before, now);
            progress.finish_and_report(now);
        }
    }
}
