//! Says how far a long piece of work is: how much is done, how fast, and how long it will still take.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// How often a line is written. What is done sooner says nothing.
pub const EVERY: Duration = Duration::from_secs(2);

/// The progress of one piece of work.
///
/// The clock is passed in, so that the caller takes the time once for all that it needs it for.
///
/// ```
/// use std::time::{Duration, Instant};
/// use memgen::progress::Progress;
///
/// let start = Instant::now();
/// let mut progress = Progress::new("replay of graph/0", "records", Some(1000), start);
/// assert!(progress.advance(250, start + Duration::from_secs(1)).is_none());
/// let line = progress.advance(250, start + Duration::from_secs(2)).unwrap();
/// assert_eq!(line.to_string(), "replay of graph/0: 500 of 1000 records (50 %), 250 records/s, about 2 s left");
/// ```
#[derive(Clone, Debug)]
pub struct Progress {
    what: String,
    unit: &'static str,
    total: Option<u64>,
    done: u64,
    start: Instant,
    // Since the last line: the rate of now, not of the whole, so that an estimate follows a change of speed.
    last: Instant,
    last_done: u64,
    said: bool,
}

impl Progress {
    /// Work on `total` of `unit`, if it is known how much there is, that begins now.
    pub fn new(
        what: impl Into<String>,
        unit: &'static str,
        total: Option<u64>,
        now: Instant,
    ) -> Self {
        Self {
            what: what.into(),
            unit,
            total,
            done: 0,
            start: now,
            last: now,
            last_done: 0,
            said: false,
        }
    }

    /// `more` are done. Returns the line that is due, at most one per [`EVERY`].
    #[must_use = "the line is to be written: see `report`"]
    pub fn advance(&mut self, more: u64, now: Instant) -> Option<Line> {
        self.done = self.done.saturating_add(more);
        let elapsed = now.saturating_duration_since(self.last);
        if elapsed < EVERY {
            return None;
        }
        let line = self.line(self.done - self.last_done, elapsed, false);
        self.last = now;
        self.last_done = self.done;
        self.said = true;
        Some(line)
    }

    /// `more` are done; a line is written to the log if one is due.
    pub fn report(&mut self, more: u64, now: Instant) {
        if let Some(line) = self.advance(more, now) {
            line.write();
        }
    }

    /// The work has ended: the last line, with the rate of the whole, if it took longer than [`EVERY`].
    #[must_use = "the line is to be written: see `finish_and_report`"]
    pub fn finish(self, now: Instant) -> Option<Line> {
        let elapsed = now.saturating_duration_since(self.start);
        (self.said || elapsed >= EVERY).then(|| self.line(self.done, elapsed, true))
    }

    /// The work has ended; the last line is written to the log if the work took long.
    pub fn finish_and_report(self, now: Instant) {
        if let Some(line) = self.finish(now) {
            line.write();
        }
    }

    fn line(&self, done: u64, elapsed: Duration, ended: bool) -> Line {
        let nanos = elapsed.as_nanos().max(1);
        let per_second =
            u64::try_from(u128::from(done) * 1_000_000_000 / nanos).unwrap_or(u64::MAX);
        let left = match self.total {
            Some(total) if !ended && done > 0 => {
                let rest = u128::from(total.saturating_sub(self.done));
                let nanos = rest.saturating_mul(nanos) / u128::from(done);
                Some(Duration::from_nanos(
                    u64::try_from(nanos).unwrap_or(u64::MAX),
                ))
            }
            _ => None,
        };
        Line {
            what: self.what.clone(),
            unit: self.unit,
            done: self.done,
            total: self.total,
            per_second,
            left,
            took: ended.then_some(elapsed),
        }
    }
}

/// How far the work is, as a line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    what: String,
    unit: &'static str,
    /// How much is done.
    pub done: u64,
    /// How much there is, if it is known.
    pub total: Option<u64>,
    /// The rate since the last line, or of the whole at the end.
    pub per_second: u64,
    /// The estimate, if the total is known and something moves.
    pub left: Option<Duration>,
    /// How long it took, at the end.
    pub took: Option<Duration>,
}

impl Line {
    /// Writes it to the log.
    pub fn write(&self) {
        tracing::info!(
            done = self.done,
            total = self.total,
            per_second = self.per_second,
            left_seconds = self.left.map(|left| left.as_secs()),
            "{self}"
        );
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            unit,
            done,
            total,
            per_second,
            left,
            took,
        } = self;
        if let Some(took) = took {
            return write!(
                f,
                "{what}: {done} {unit} in {}, {per_second} {unit}/s",
                Seconds(*took)
            );
        }
        write!(f, "{what}: {done}")?;
        if let Some(total) = total {
            write!(f, " of {total}")?;
        }
        write!(f, " {unit}")?;
        if let Some(total) = total.filter(|total| *total > 0) {
            let percent = u128::from(*done) * 100 / u128::from(total);
            write!(f, " ({} %)", percent.min(100))?;
        }
        write!(f, ", {per_second} {unit}/s")?;
        match left {
            Some(left) => write!(f, ", about {} left", Seconds(*left)),
            None => Ok(()),
        }
    }
}

/// A time as people say it, in two units at most.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => write!(f, "{seconds} s"),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..86_400 => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
            _ => write!(f, "{} d {} h", seconds / 86_400, seconds / 3600 % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_done_soon_says_nothing() {
        let start = Instant::now();
        let mut progress = Progress::new("replay", "records", Some(10), start);
        assert_eq!(progress.advance(10, at(start, 1999)), None);
        assert_eq!(progress.done, 10);
        assert_eq!(progress.finish(at(start, 1999)), None);
    }

    #[test]
    fn a_line_comes_every_two_seconds_however_often_it_is_asked() {
        let start = Instant::now();
        let mut progress = Progress::new("replay", "records", Some(10_000), start);
        let lines: Vec<u64> = (1..=100)
            .filter_map(|step| progress.advance(10, at(start, step * 100)))
            .map(|line| line.done)
            .collect();
        assert_eq!(lines, [200, 400, 600, 800, 1000]);
        let last = progress.finish(at(start, 10_000)).unwrap();
        assert_eq!(
            last.to_string(),
            "replay: 1000 records in 10 s, 100 records/s"
        );
    }

    #[test]
    fn rate_and_estimate_are_those_of_the_last_two_seconds() {
        let start = Instant::now();
        let mut progress = Progress::new("replay", "records", Some(1000), start);
        let fast = progress.advance(400, at(start, 2000)).unwrap();
        assert_eq!(
            (fast.per_second, fast.left),
            (200, Some(Duration::from_secs(3)))
        );
        let slow = progress.advance(100, at(start, 4000)).unwrap();
        assert_eq!(
            (slow.per_second, slow.left),
            (50, Some(Duration::from_secs(10)))
        );
        let still = progress.advance(0, at(start, 6000)).unwrap();
        assert_eq!((still.per_second, still.left), (0, None));
        assert_eq!(
            still.to_string(),
            "replay: 500 of 1000 records (50 %), 0 records/s"
        );
    }

    #[test]
    fn a_total_may_be_unknown_zero_or_wrong() {
        let start = Instant::now();
        for (total, text) in [
            (None, "replay: 100 records, 50 records/s"),
            (
                Some(0),
                "replay: 100 of 0 records, 50 records/s, about 0 s left",
            ),
            (
                Some(50),
                "replay: 100 of 50 records (100 %), 50 records/s, about 0 s left",
            ),
            (
                Some(u64::MAX),
                "replay: 100 of 18446744073709551615 records (0 %), 50 records/s, about 213503 d 23 h left",
            ),
        ] {
            let mut progress = Progress::new("replay", "records", total, start);
            assert_eq!(
                progress.advance(100, at(start, 2000)).unwrap().to_string(),
                text
            );
        }
        let mut progress = Progress::new("replay", "records", None, start);
        progress.total = Some(200);
        assert_eq!(
            progress.advance(u64::MAX, at(start, 2000)).unwrap().done,
            u64::MAX
        );
        assert_eq!(
            progress.advance(1, at(start, 4000)).unwrap().done,
            u64::MAX,
            "no overflow"
        );
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let before = Instant::now();
        let start = before + Duration::from_secs(5);
        let mut progress = Progress::new("replay", "records", None, start);
        assert_eq!(progress.advance(1, before), None);
        assert_eq!(progress.finish(before), None);
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h 0 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(Seconds(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
