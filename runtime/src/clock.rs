//! How long ago something was, where it matters that no time is missed: while a machine is suspended, or off.
//!
//! Neither clock of a machine can be trusted alone. The wall clock may be set. The clock that runs since the machine's start stands still while it is off, and in a
//! virtual machine also while its host has stopped it. So a [`Moment`] is one on both, and of two ages the greater one counts.

#[cfg(feature = "testing")]
mod simulated;

use std::{fs, sync::Arc, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

#[cfg(feature = "testing")]
pub(crate) use self::simulated::SimulatedClock;
use crate::ambient::now_ms;

/// How far the wall clocks of two machines may differ: a moment that lies further ahead is not believed.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// A moment on both clocks of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub(crate) wall_ms: u64,
    /// Milliseconds since the start of the machine, also those for which it was suspended.
    pub(crate) since_boot_ms: u64,
    /// Which start of which machine.
    pub(crate) boot: u64,
}

impl Moment {
    /// How long before `now` it was; none if that can't be said.
    pub(crate) fn age_at(&self, now: &Self) -> Option<Duration> {
        let by_wall = now.wall_ms.checked_sub(self.wall_ms);
        if self.boot == now.boot {
            let by_boot = now.since_boot_ms.saturating_sub(self.since_boot_ms);
            return Some(Duration::from_millis(
                by_boot.max(by_wall.unwrap_or_default()),
            ));
        }
        let ahead = Duration::from_millis(self.wall_ms.saturating_sub(now.wall_ms));
        match by_wall {
            Some(ms) => Some(Duration::from_millis(ms)),
            // Of another machine, whose clock is a little ahead; or of this one before its clock was set back, nobody knows how far.
            None => (ahead <= SKEW_MAX).then_some(Duration::ZERO),
        }
    }
}

/// Says what time it is.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> Moment;
}

/// The clock of this process.
pub(crate) fn open() -> Arc<dyn Clock> {
    #[cfg(feature = "testing")]
    if let Some(process) = crate::testing::Process::current() {
        return process.clock();
    }
    Arc::new(MachineClock::new())
}

/// The clocks of this machine.
pub(crate) struct MachineClock {
    boot: u64,
}

impl MachineClock {
    pub(crate) fn new() -> Self {
        // Where the system does not say which start this is, none is the same as another.
        let boot = fs::read("/proc/sys/kernel/random/boot_id")
            .unwrap_or_else(|_| uuid::Uuid::new_v4().into_bytes().to_vec());
        Self {
            boot: xxhash_rust::xxh3::xxh3_64(&boot),
        }
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Moment {
        Moment {
            wall_ms: now_ms(),
            since_boot_ms: u64::try_from(since_boot().as_millis()).unwrap_or(u64::MAX),
            boot: self.boot,
        }
    }
}

/// The time since the machine's start, also that for which it was suspended.
pub(crate) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall_ms: u64, since_boot_ms: u64, boot: u64) -> Moment {
        Moment {
            wall_ms,
            since_boot_ms,
            boot,
        }
    }

    #[test]
    fn of_two_ages_the_greater_counts() {
        let then = moment(1_000_000, 1000, 1);
        for (now, age, why) in [
            (moment(1_000_700, 1700, 1), Some(700), "both agree"),
            (
                moment(900_000, 1700, 1),
                Some(700),
                "the wall clock was set back",
            ),
            (
                moment(1_009_000, 1700, 1),
                Some(9000),
                "the machine was stopped by its host",
            ),
            (moment(1_009_000, 5, 2), Some(9000), "it was off"),
            (
                moment(999_000, 5, 2),
                Some(0),
                "a peer's clock is a little ahead",
            ),
            (moment(900_000, 5, 2), None, "a moment that is to come"),
        ] {
            let age = age.map(Duration::from_millis);
            assert_eq!(then.age_at(&now), age, "{why}");
        }
    }

    #[test]
    fn the_machine_says_what_time_it_is() {
        let clock = MachineClock::new();
        let (one, other) = (clock.now(), MachineClock::new().now());
        assert!(one.wall_ms > 1_700_000_000_000 && one.since_boot_ms > 0);
        assert!(
            one.age_at(&other)
                .is_some_and(|age| age < Duration::from_secs(60))
        );
    }
}
