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

/// The longest that cases may take before the next word. Inputs are short: the real ones take a hundredth of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that is told of what a process said.
const WORDS_CHARS_MAX: usize = 1000;
/// More cases than any target runs without a word.
const CASES_AGAIN: u64 = 1000;

/// Which cases, and until when.
pub(crate) struct Run<'a> {
    pub(crate) target: &'a str,
    pub(crate) first: u64,
    pub(crate) step: u64,
    pub(crate) count: u64,
    /// None if all of them are to be run.
    pub(crate) until: Option<Instant>,
    /// Somebody has found something.
    pub(crate) stop: &'a AtomicBool,
}

/// What was run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cases {
    pub(crate) inputs: u64,
    /// Those that could be read.
    pub(crate) read: u64,
}

impl Cases {
    pub(crate) fn add(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.read += other.read;
    }
}

/// A case that went wrong.
pub(crate) struct Finding {
    /// None if there was no case at all, or it is not known which.
    pub(crate) seed: Option<u64>,
    pub(crate) why: String,
}

/// How a process ended before it should have: after it said that it would begin with this case.
struct Broken {
    seed: Option<u64>,
    why: String,
}

impl Run<'_> {
    /// Follows cases to their end. What went wrong is looked at again, case by case.
    pub(crate) fn watch(self) -> Result<Cases, Finding> {
        let broken = match self.follow(0) {
            Ok(cases) => return Ok(cases),
            Err(broken) => broken,
        };
        self.stop.store(true, Ordering::Relaxed);
        let Some(seed) = broken.seed else {
            return Err(Finding {
                seed: None,
                why: broken.why,
            });
        };
        let again = Run {
            first: seed,
            count: CASES_AGAIN,
            until: Some(Instant::now() + 2 * PATIENCE),
            stop: &AtomicBool::new(false),
            ..self
        };
        Err(match again.follow(1) {
            Err(Broken { seed, why }) => Finding { seed, why },
            Ok(_) => Finding {
                seed: None,
                why: format!(
                    "not again from seed {seed} on, it takes what was before: {}",
                    broken.why
                ),
            },
        })
    }

    /// `chunk`: after how many cases the process says something; 0 leaves it to the target.
    fn follow(&self, chunk: u64) -> Result<Cases, Broken> {
        let mut seed = None;
        let lost = |error| Broken {
            seed: None,
            why: format!("no case was run: {error}"),
        };
        let numbers = [self.first, self.step, self.count, chunk].map(|it| it.to_string());
        let mut child = env::current_exe()
            .and_then(|program| {
                Command::new(program)
                    .args([WORKER, self.target])
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
                    cases.read = numbers.next().and_then(Result::ok).unwrap_or_default();
                    let next = numbers.next().and_then(Result::ok);
                    cases.inputs = next.map_or(self.count, |next| (next - self.first) / self.step);
                    seed = next;
                    let over = self.until.is_some_and(|until| Instant::now() >= until);
                    if over || self.stop.load(Ordering::Relaxed) {
                        end(&mut child);
                        return Ok(cases);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    end(&mut child);
                    let why = format!("no answer in {} s", PATIENCE.as_secs());
                    return Err(Broken { seed, why });
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
                    return Err(Broken { seed, why });
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
