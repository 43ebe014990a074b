//! What happened in a simulation, for people: the lines of the operator's logs of all nodes, and what the test did, each with its time and its host.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tokio::time::Instant;
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
};

use super::process::{Process, UNPOISONED};

/// So many of the last lines are kept.
const LINES_MAX: usize = 20_000;

/// The last lines. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace(Arc<Mutex<VecDeque<String>>>);

impl Trace {
    /// What writes all events of this level and above here; of those of libraries, warnings.
    pub(super) fn subscriber(&self, level: Level, start: Instant) -> impl Subscriber + use<> {
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_timer(Since(start))
            .with_writer(self.clone());
        let mut filter = Targets::new().with_default(level);
        for library in ["h2", "hyper", "hyper_util", "tower"] {
            filter = filter.with_target(library, level.min(Level::WARN));
        }
        tracing_subscriber::registry().with(lines.with_filter(filter))
    }

    /// The last lines, oldest first.
    pub(super) fn last(&self, count: usize) -> Vec<String> {
        let lines = self.0.lock().expect(UNPOISONED);
        let skipped = lines.len().saturating_sub(count);
        lines.iter().skip(skipped).cloned().collect()
    }
}

/// The time of the simulation, and the host whose process runs.
struct Since(Instant);

impl FormatTime for Since {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        let host = Process::current().map(|process| process.host());
        let host = host.map(|host| host.to_string()).unwrap_or_default();
        write!(out, "{:9.3}s {host:9}", self.0.elapsed().as_secs_f64())
    }
}

impl<'w> MakeWriter<'w> for Trace {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line {
            trace: self.clone(),
            bytes: Vec::new(),
        }
    }
}

/// One line, kept when it is whole.
pub(super) struct Line {
    trace: Trace,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = String::from_utf8_lossy(&self.bytes).trim_end().to_owned();
        let mut lines = self.trace.0.lock().expect(UNPOISONED);
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}
