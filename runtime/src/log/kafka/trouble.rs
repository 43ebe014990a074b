//! What goes wrong while a partition is read, and for how long.

use std::time::{Duration, Instant};

/// How often it is said that a partition can't be read.
const TELL: Duration = Duration::from_secs(10);
/// For how long leaders may not answer, or not be found, until they are asked by new clients: whatever it is that holds these up, as a broker that stood still, it is not to outlast them.
const UNANSWERED: Duration = Duration::from_secs(15);

/// What went wrong in a call so far.
pub(super) struct Trouble {
    since: Instant,
    until: Option<Instant>,
    told: Option<Instant>,
}

impl Trouble {
    /// It goes on until the call succeeds.
    pub(super) fn endless() -> Self {
        Self {
            since: Instant::now(),
            until: None,
            told: None,
        }
    }

    /// At some time the call is given up.
    pub(super) fn until(until: Instant) -> Self {
        Self {
            until: Some(until),
            ..Self::endless()
        }
    }

    /// How long it has gone on.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        now.duration_since(self.since)
    }

    /// Whether the call is to be given up.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now > until)
    }

    /// Whether it is to be said once more; then it has been.
    pub(super) fn is_to_be_told(&mut self, now: Instant) -> bool {
        let is_due = self.told.is_none_or(|at| now.duration_since(at) > TELL);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

/// Since when no leader has answered, and when one was asked last.
#[derive(Default)]
pub(super) struct Unanswered(Option<(Instant, Instant)>);

impl Unanswered {
    /// Nobody has answered this time either. Whether that has gone on for too long, without a pause in which nobody was asked.
    pub(super) fn once_more(&mut self, now: Instant) -> bool {
        let goes_on = |(_, last): &(Instant, Instant)| now.duration_since(*last) < UNANSWERED;
        let since = self.0.filter(goes_on).map_or(now, |(since, _)| since);
        self.0 = Some((since, now));
        now.duration_since(since) > UNANSWERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_that_are_asked_again_and_again_have_their_time() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut unanswered = Unanswered::default();
        for seconds in [0, 5, 10, 15] {
            assert!(!unanswered.once_more(at(seconds)), "{seconds}");
        }
        assert!(unanswered.once_more(at(16)));
        assert!(unanswered.once_more(at(30)), "and still");
        // Nobody has asked meanwhile: they may have come back and gone again.
        assert!(!unanswered.once_more(at(45)));
        assert!(!unanswered.once_more(at(59)));
        assert!(unanswered.once_more(at(61)));
    }

    #[test]
    fn what_goes_on_is_told_now_and_then() {
        let mut trouble = Trouble::endless();
        let since = trouble.since;
        let at = |seconds| since + Duration::from_secs(seconds);
        let times = [0, 5, 10, 11, 21, 22].map(at);
        let told = times.map(|time| trouble.is_to_be_told(time));
        assert_eq!(told, [true, false, false, true, false, true]);
    }

    #[test]
    fn what_has_a_bound_is_given_up() {
        let until = Instant::now() + Duration::from_secs(5);
        let trouble = Trouble::until(until);
        assert!(!trouble.is_over(until));
        assert!(trouble.is_over(until + Duration::from_millis(1)));
        assert!(!Trouble::endless().is_over(until + Duration::from_secs(3600)));
    }
}
