//! How long something took, many times.

use std::time::Duration;

/// Times, the shortest first.
#[derive(Clone, Debug, Default)]
pub struct Waits(Vec<Duration>);

impl Waits {
    /// Adds more of them.
    pub fn add(&mut self, times: impl IntoIterator<Item = Duration>) {
        self.0.extend(times);
        self.0.sort_unstable();
    }

    /// All of them, the shortest first.
    #[must_use]
    pub fn times(&self) -> &[Duration] {
        &self.0
    }

    /// As cells of a table: how many there are; p50, p99 and the longest.
    #[must_use]
    pub fn cells(&self) -> [String; 4] {
        let at = |percent: usize| {
            let index = (self.0.len() * percent).div_ceil(100).max(1) - 1;
            let time = self.0.get(index);
            time.map_or("-".to_owned(), |time| milliseconds(*time))
        };
        [self.0.len().to_string(), at(50), at(99), at(100)]
    }
}

fn milliseconds(wait: Duration) -> String {
    if wait < Duration::from_millis(100) {
        format!("{:.1} ms", wait.as_secs_f64() * 1000.0)
    } else {
        format!("{} ms", wait.as_millis())
    }
}
