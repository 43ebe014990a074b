//! The parent's side: it follows a process that runs cases, and finds out how it ends.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::worker::WORKER;

/// The longest that one document may take. They are short: the real ones take a hundredth of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The most that is told of what a process said.
const WORDS_CHARS_MAX: usize = 500;

/// Which cases, and until when.
pub(crate) struct Run<'a> {
    pub(crate) first: u64,
    pub(crate) step: u64,
    pub(crate) count: u64,
    /// None if all of them are to be run.
    pub(crate) until: Option<Instant>,
    /// Somebody has found something.
    pub(crate) stop: &'a AtomicBool,
}

/// What was run.
#[derive(Default)]
pub(crate) struct Cases {
    pub(crate) documents: u64,
    pub(crate) crates: u64,
}

/// A case without an answer.
pub(crate) struct Finding {
    /// None if there was no case at all.
    pub(crate) seed: Option<u64>,
    pub(crate) why: String,
}

impl Run<'_> {
    pub(crate) fn watch(self) -> Result<Cases, Finding> {
        let outcome = self.follow();
        if outcome.is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn follow(&self) -> Result<Cases, Finding> {
        let mut seed = None;
        let lost = |error| Finding {
            seed: None,
            why: format!("{error}"),
        };
        let numbers = [self.first, self.step, self.count].map(|it| it.to_string());
        let mut child = env::current_exe()
            .and_then(|program| {
                Command::new(program)
                    .arg(WORKER)
                    .args(numbers)
                    .env("RUST_BACKTRACE", "0")
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
            })
            .map_err(lost)?;
        let (sender, receiver) = mpsc::channel();
        let out = child.stdout.take();
        thread::spawn(move || {
            for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()) {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut cases = Cases::default();
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let mut numbers = line.split(' ').map(str::parse::<u64>);
                    cases.crates = numbers.next().and_then(Result::ok).unwrap_or_default();
                    cases.documents += u64::from(seed.is_some());
                    seed = numbers.next().and_then(Result::ok);
                    let over = self.until.is_some_and(|until| Instant::now() >= until);
                    if over || self.stop.load(Ordering::Relaxed) {
                        end(&mut child);
                        return Ok(cases);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    end(&mut child);
                    let why = format!("no answer in {} s", PATIENCE.as_secs());
                    return Err(Finding { seed, why });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let mut said = String::new();
                    let words = child.stderr.take();
                    let _ = words.map(|mut words| words.read_to_string(&mut said));
                    let status = child.wait().map_err(lost)?;
                    if status.success() {
                        return Ok(cases);
                    }
                    // A finding is one line.
                    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
                    let said: String = said.chars().take(WORDS_CHARS_MAX).collect();
                    let why = format!("{status}: {said}");
                    return Err(Finding { seed, why });
                }
            }
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
