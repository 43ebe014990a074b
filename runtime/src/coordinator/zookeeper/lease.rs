//! The lease of a session (`log-protocol.md`, rule 8).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::clock::since_boot;

/// A moment on a clock that goes on while the machine is suspended, in nanoseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn now() -> Self {
        Self(u64::try_from(since_boot().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// For how long nobody else can have what this session holds.
#[derive(Debug)]
pub(super) struct Lease {
    /// From when the round trip was sent that renewed it, in nanoseconds.
    length: u64,
    /// A [`Moment`]; 0 before the first round trip.
    until: AtomicU64,
}

impl Lease {
    /// The lease of a session with this negotiated time-out. It begins with the first round trip.
    pub(super) fn new(session_timeout: Duration) -> Self {
        let length = session_timeout * 3 / 4;
        Self {
            length: u64::try_from(length.as_nanos()).unwrap_or(u64::MAX),
            until: AtomicU64::new(0),
        }
    }

    /// A round trip that was sent then has succeeded.
    pub(super) fn renew(&self, sent: Moment) {
        self.until
            .fetch_max(sent.0.saturating_add(self.length), Ordering::AcqRel);
    }

    /// Whether it has not lapsed.
    pub(super) fn holds(&self) -> bool {
        Moment::now().0 < self.until.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_from_when_the_round_trip_was_sent() {
        let lease = Lease::new(Duration::from_millis(400));
        assert!(!lease.holds(), "it was not granted yet");
        let sent = Moment::now();
        lease.renew(sent);
        assert!(lease.holds());
        // A late answer to an earlier round trip shortens nothing.
        lease.renew(Moment(sent.0 - 1_000_000_000));
        assert_eq!(lease.until.load(Ordering::Relaxed), sent.0 + 300_000_000);
        // One that took longer than the lease grants nothing.
        let late = Lease::new(Duration::from_millis(400));
        late.renew(Moment(sent.0 - 300_000_000));
        assert!(!late.holds());
    }
}
