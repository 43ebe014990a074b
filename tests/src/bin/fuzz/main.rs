//! Puts damaged input before decoders: `cargo run -p memgen-tests --bin fuzz -- --seconds 60`, or `fuzz snapshot key --seconds 3600`. See `memgen_tests::fuzz` for what is attacked, and what is asked of it.
//!
//! The cases run in processes of their own, one for each processor, so that whatever ends a case is seen: a panic, an abort, a stack that overflows, too much memory, no answer. Its input is
//! kept in `target/fuzz`, and `--seed N` runs it again.

mod watch;
mod worker;

use std::{
    env, fs,
    process::ExitCode,
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

use memgen_tests::{fuzz::TARGETS, project::repository};
use peak_alloc::PeakAlloc;

use self::{
    watch::{Cases, Finding, Run},
    worker::{WORKER, target},
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [WORKER, name, first, step, count, chunk] = words[..] {
        let number = |text: &str| {
            text.parse()
                .expect("whoever starts a worker writes numbers")
        };
        worker::run(
            name,
            number(first),
            number(step),
            number(count),
            number(chunk),
        );
        return ExitCode::SUCCESS;
    }
    let Some(asked) = Asked::of(&words) else {
        let names = TARGETS.map(|(name, _)| name).join(", ");
        eprintln!(
            "usage: fuzz [TARGET…] [--seconds N] [--inputs N] [--seed N]\ntargets, each for so long: {names}"
        );
        return ExitCode::from(2);
    };
    let outcomes = asked.targets.iter().map(|name| attack(name, &asked));
    if outcomes.collect::<Vec<_>>().contains(&false) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What is to be done.
struct Asked<'a> {
    targets: Vec<&'a str>,
    seconds: Option<u64>,
    inputs: Option<u64>,
    seed: Option<u64>,
}

impl<'a> Asked<'a> {
    fn of(words: &[&'a str]) -> Option<Self> {
        let mut asked = Self {
            targets: Vec::new(),
            seconds: None,
            inputs: None,
            seed: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let number = match *word {
                "--seconds" => &mut asked.seconds,
                "--inputs" => &mut asked.inputs,
                "--seed" => &mut asked.seed,
                name if TARGETS.iter().any(|(known, _)| *known == name) => {
                    asked.targets.push(name);
                    continue;
                }
                _ => return None,
            };
            *number = Some(words.next()?.parse().ok()?);
        }
        if asked.targets.is_empty() {
            asked.targets = TARGETS.map(|(name, _)| name).to_vec();
        }
        Some(asked)
    }
}

/// Attacks one decoder with both hands. Whether nothing was found.
fn attack(name: &str, asked: &Asked<'_>) -> bool {
    let started = Instant::now();
    let first = asked
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()) << 32);
    let workers = match asked.seed {
        Some(_) => 1,
        None => thread::available_parallelism().map_or(1, |it| it.get() as u64),
    };
    let inputs = asked.seed.map(|_| 1).or(asked.inputs);
    let seconds = asked.seconds.or(inputs.is_none().then_some(60));
    let until = seconds.map(|seconds| started + Duration::from_secs(seconds));
    let stop = AtomicBool::new(false);
    let outcomes: Vec<Result<Cases, Finding>> = thread::scope(|scope| {
        let watch = |number| {
            let run = Run {
                target: name,
                first: first + number,
                step: workers,
                count: inputs.map_or(u64::MAX, |inputs| inputs.div_ceil(workers)),
                until,
                stop: &stop,
            };
            scope.spawn(move || run.watch())
        };
        let threads: Vec<_> = (0..workers).map(watch).collect();
        let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.expect("a watch does not panic"))
            .collect()
    });
    let mut all = Cases::default();
    let mut good = true;
    for outcome in outcomes {
        match outcome {
            Ok(cases) => all.add(cases),
            Err(finding) => {
                good = false;
                report(name, &finding, started);
            }
        }
    }
    if good {
        println!(
            "{name}: {} inputs in {} s from seed {first} on, of which {} could be read: nothing found",
            all.inputs,
            started.elapsed().as_secs(),
            all.read,
        );
    }
    good
}

/// Keeps the input, and says where it is.
fn report(name: &str, finding: &Finding, started: Instant) {
    let after = started.elapsed().as_secs();
    let Some(seed) = finding.seed else {
        println!("{name}: {}", finding.why);
        return;
    };
    let folder = repository().join("target/fuzz").join(name);
    let path = folder.join(seed.to_string());
    let kept =
        fs::create_dir_all(&folder).and_then(|()| fs::write(&path, target(name).input(seed)));
    let kept = kept.map_or_else(
        |error| format!("the input could not be kept: {error}"),
        |()| {
            format!(
                "the input is {}: once it is mended, a copy of it in tests/fuzz/{name} is a test",
                path.display()
            )
        },
    );
    println!(
        "{name}: seed {seed}, after {after} s: {}; {kept}",
        finding.why
    );
}
