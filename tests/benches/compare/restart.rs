//! Starts on a log: how fast, and how much memory the entries take.

use std::path::Path;

use memgen_tests::Folder;

use crate::{
    Outcome,
    entries::{KEY_BYTES, VALUE_BYTES},
    fill::{Size, fill},
    options::Options,
    process,
    register::Restarted,
    report::{Report, Target, median},
};

fn restart(data: &Path) -> Outcome<Restarted> {
    Restarted::parse(&process::run(&["restart", &data.display().to_string()])?)
}

/// The median of a figure over some starts, after one that does not count.
fn restarts(options: &Options, data: &Path) -> Outcome<Vec<Restarted>> {
    restart(data)?;
    (0..options.rounds).map(|_| restart(data)).collect()
}

fn of(restarts: &[Restarted], figure: impl Fn(&Restarted) -> f64) -> f64 {
    median(restarts.iter().map(figure))
}

/// A start on a log of 1,000,000 records of 100 bytes, each with a key of its own.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn replay(options: &Options, report: &mut Report) -> Outcome<()> {
    let records = options.amount(1_000_000);
    for (compacted, how) in [(false, "as written"), (true, "compacted")] {
        let folder = Folder::new();
        fill(folder.path(), records, Size::Json, compacted)?;
        let (mut seen, mut rates) = (Vec::new(), Vec::new());
        for _ in 0..=options.rounds {
            // A start compacts what is due, so each gets a log of its own.
            let copy = Folder::new();
            memgen_tests::folder::copy(folder.path(), copy.path());
            let restarted = restart(copy.path())?;
            rates.push(records as f64 / (restarted.open_seconds + restarted.replay_seconds));
            seen.push(restarted);
        }
        let what = format!("start on {records} records, log {how}");
        let rate = median(rates.into_iter().skip(1));
        report.figure(&what, "records/s", rate, Target::AtLeast(1e6));
        let open = of(&seen, |seen| seen.open_seconds);
        report.figure(&format!("{what}: open and verify"), "s", open, Target::None);
        let replay = of(&seen, |seen| seen.replay_seconds);
        report.figure(&format!("{what}: replay"), "s", replay, Target::None);
    }
    Ok(())
}

/// Resident memory per entry: what a service takes that one without entries does not.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn memory(options: &Options, report: &mut Report) -> Outcome<()> {
    let entries = options.amount(1_000_000);
    let empty = empty(options)?;
    let folder = Folder::new();
    fill(folder.path(), entries, Size::Value, true)?;
    let seen = restarts(options, folder.path())?;
    let bytes = (of(&seen, |seen| seen.resident_bytes) - empty.resident_bytes) / entries as f64;
    let what = format!("resident memory per entry of {entries}");
    let bound = 3.0 * (KEY_BYTES + VALUE_BYTES) as f64;
    report.figure(&what, "bytes", bytes, Target::AtMost(bound));
    let what = "resident memory of a service without entries";
    report.figure(what, "MB", empty.resident_bytes / 1e6, Target::None);
    Ok(())
}

/// A service without entries.
fn empty(options: &Options) -> Outcome<Restarted> {
    let folder = Folder::new();
    fill(folder.path(), 0, Size::Value, false)?;
    let seen = restarts(options, folder.path())?;
    Ok(Restarted {
        open_seconds: of(&seen, |seen| seen.open_seconds),
        replay_seconds: of(&seen, |seen| seen.replay_seconds),
        resident_bytes: of(&seen, |seen| seen.resident_bytes),
        peak_bytes: of(&seen, |seen| seen.peak_bytes),
    })
}

/// Memory and time to start per entry, from 10^4 to 10^7 entries.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn growth(options: &Options, report: &mut Report) -> Outcome<()> {
    let empty = empty(options)?;
    for exponent in 4..=7 {
        let entries = options.amount(10_usize.pow(exponent));
        let folder = Folder::new();
        fill(folder.path(), entries, Size::Value, true)?;
        let seen = restarts(options, folder.path())?;
        let what = format!("{entries} entries");
        let mut each = |what: &str, unit: &str, scale: f64, figure: fn(&Restarted) -> f64| {
            let figure = (of(&seen, figure) - figure(&empty)) * scale / entries as f64;
            report.figure(what, unit, figure, Target::None);
        };
        each(
            &format!("{what}: resident memory each"),
            "bytes",
            1.0,
            |seen| seen.resident_bytes,
        );
        each(
            &format!("{what}: peak during the start each"),
            "bytes",
            1.0,
            |seen| seen.peak_bytes,
        );
        each(&format!("{what}: start each"), "µs", 1e6, |seen| {
            seen.open_seconds + seen.replay_seconds
        });
    }
    Ok(())
}
