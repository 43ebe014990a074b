//! The clocks of a machine of a simulation.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::{Clock, Moment};
use crate::testing::UNPOISONED;

/// The wall clock at the start of each simulation: 2026-01-01, 00:00 UTC.
const START_MS: u64 = 1_767_225_600_000;

/// The clocks of a machine of a simulation. They may go too fast or too slow, and its wall clock may be set wrong.
pub(crate) struct SimulatedClock {
    start: Instant,
    boot: u64,
    /// Since when it has gone as it does.
    pace: Mutex<Pace>,
}

#[derive(Clone, Copy)]
struct Pace {
    since: Instant,
    /// How long it had run by then, as it saw it.
    before: Duration,
    rate: f64,
    /// By how much the wall clock is ahead, in milliseconds.
    ahead_ms: i64,
}

impl Pace {
    fn since_boot(&self) -> Duration {
        self.before + self.since.elapsed().mul_f64(self.rate)
    }
}

impl SimulatedClock {
    /// The clocks of one machine, which is started now.
    pub(crate) fn new() -> Self {
        Self::of(Instant::now(), 0)
    }

    /// The clocks of a machine that was started then; `boot` tells it from others.
    pub(crate) fn of(start: Instant, boot: u64) -> Self {
        let pace = Pace {
            since: start,
            before: Duration::ZERO,
            rate: 1.0,
            ahead_ms: 0,
        };
        Self {
            start,
            boot,
            pace: Mutex::new(pace),
        }
    }

    /// When it began to run.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// From now on both clocks go that many times as fast as time does, and the wall clock is so many milliseconds ahead of the other one.
    pub(crate) fn set(&self, rate: f64, ahead_ms: i64) {
        let mut pace = self.pace.lock().expect(UNPOISONED);
        *pace = Pace {
            since: Instant::now(),
            before: pace.since_boot(),
            rate,
            ahead_ms,
        };
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Moment {
        let pace = *self.pace.lock().expect(UNPOISONED);
        let since_boot_ms = u64::try_from(pace.since_boot().as_millis()).unwrap_or(u64::MAX);
        Moment {
            wall_ms: (START_MS + since_boot_ms).saturating_add_signed(pace.ahead_ms),
            since_boot_ms,
            boot: self.boot,
        }
    }
}
