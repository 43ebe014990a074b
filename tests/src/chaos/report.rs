//! What was measured, what was counted, and what was wrong.

use std::{fmt, time::Duration};

use super::timeline::Timeline;
use crate::waits::Waits;

/// What comes of a run. Its text is a table for BENCHMARKS.md.
#[derive(Debug, Default)]
pub struct Report {
    /// What happened when.
    pub timeline: Timeline,
    waits: Vec<(String, Waits)>,
    counts: Vec<(String, usize)>,
    violations: Vec<String>,
}

/// Of many violations of one kind a few tell as much.
const SHOWN_MAX: usize = 20;

impl Report {
    /// Adds waits to a row.
    pub(super) fn waits(&mut self, row: &str, waits: Vec<Duration>) {
        self.row_of(row).add(waits);
    }

    fn row_of(&mut self, row: &str) -> &mut Waits {
        let at = self.waits.iter().position(|(name, _)| name == row);
        let at = at.unwrap_or_else(|| {
            self.waits.push((row.to_owned(), Waits::default()));
            self.waits.len() - 1
        });
        &mut self.waits[at].1
    }

    /// Adds to a count.
    pub(super) fn add(&mut self, row: &str, count: usize) {
        match self.counts.iter_mut().find(|(name, _)| name == row) {
            Some((_, known)) => *known += count,
            None => self.counts.push((row.to_owned(), count)),
        }
    }

    /// Something that must not be.
    #[allow(clippy::print_stdout, reason = "a long run shows it at once")]
    pub(super) fn violation(&mut self, what: String) {
        if self.violations.len() < SHOWN_MAX {
            println!("WRONG: {what}");
        }
        self.violations.push(what);
    }

    /// Says how far a part is.
    #[allow(clippy::print_stdout, reason = "a long run shows how far it is")]
    pub(super) fn progress(&self, part: &str, round: usize, rounds: usize) {
        println!(
            "{part}: {} of {rounds}, {} wrong so far",
            round + 1,
            self.violations.len()
        );
    }

    /// The longest wait of a row must not be longer: for programs, since tests assert no times.
    pub fn bound(&mut self, row: &str, most: Duration) {
        let rows = self.waits.iter().filter(|(name, _)| name.ends_with(row));
        let longest = rows
            .filter_map(|(_, waits)| waits.times().last())
            .max()
            .copied();
        if let Some(longest) = longest.filter(|longest| *longest > most) {
            self.violation(format!("{row}: {longest:?}, and {most:?} is allowed"));
        }
    }

    /// All that was wrong.
    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    /// All counts.
    pub(super) fn counts(&self) -> &[(String, usize)] {
        &self.counts
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }

    /// Checks that nothing was wrong.
    pub fn assert_sound(&self) {
        assert!(self.is_sound(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| waits | number | p50 | p99 | max |")?;
        writeln!(f, "|---|---:|---:|---:|---:|")?;
        for (row, waits) in &self.waits {
            let [number, p50, p99, max] = waits.cells();
            writeln!(f, "| {row} | {number} | {p50} | {p99} | {max} |")?;
        }
        let kinds = self.timeline.kinds();
        if !kinds.is_empty() {
            writeln!(f, "\n| fault | confirmed | recovery: p50 | p99 | max |")?;
            writeln!(f, "|---|---:|---:|---:|---:|")?;
        }
        for (name, kind) in kinds {
            let [_, p50, p99, max] = kind.recoveries.cells();
            let (confirmed, number) = (kind.confirmed, kind.number);
            writeln!(
                f,
                "| {name} | {confirmed} of {number} | {p50} | {p99} | {max} |"
            )?;
        }
        writeln!(f, "\n| count | number |\n|---|---:|")?;
        for (row, count) in &self.counts {
            writeln!(f, "| {row} | {count} |")?;
        }
        writeln!(f, "| violations | {} |", self.violations.len())?;
        for violation in self.violations.iter().take(SHOWN_MAX) {
            writeln!(f, "WRONG: {violation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_waits_that_were_seen() {
        let mut report = Report::default();
        report.waits("a", (1..=200).map(Duration::from_millis).collect());
        report.waits("b", vec![Duration::from_micros(1500)]);
        report.waits("none", Vec::new());
        let text = report.to_string();
        for row in [
            "| a | 200 | 100 ms | 198 ms | 200 ms |",
            "| b | 1 | 1.5 ms | 1.5 ms | 1.5 ms |",
            "| none | 0 | - | - | - |",
        ] {
            assert!(text.contains(row), "{row}: {text}");
        }
        report.assert_sound();
        report.violation("something".to_owned());
        assert!(!report.is_sound());
    }
}
