//! Medians, and the table.

#![allow(clippy::print_stdout, reason = "a bench prints what it found")]

use std::fmt::Write as _;

use crate::{Outcome, options::Options, process};

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// It is there to be seen.
    None,
}

impl Target {
    fn met(self, figure: f64) -> &'static str {
        let met = match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
            Self::None => return "",
        };
        if met { "yes" } else { "**no**" }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {}", number(bound)),
            Self::AtMost(bound) => format!("≤ {}", number(bound)),
            Self::None => String::new(),
        }
    }
}

/// One comparison: the medians of both sides, and of the ratios of the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compared {
    pub(crate) ours: f64,
    pub(crate) theirs: f64,
    pub(crate) ratio: f64,
}

impl Compared {
    pub(crate) fn new(rounds: &[(f64, f64)]) -> Self {
        Self {
            ours: median(rounds.iter().map(|(ours, _)| *ours)),
            theirs: median(rounds.iter().map(|(_, theirs)| *theirs)),
            ratio: median(rounds.iter().map(|(ours, theirs)| ours / theirs)),
        }
    }
}

/// Calls `measure` for both sides in turn, `rounds` times after a round that does not count. Each side comes first as often as the other.
/// `measure` is told whether it is memgen's turn, and the number of the round.
pub(crate) fn in_turn<T>(
    rounds: usize,
    mut measure: impl FnMut(bool, usize) -> Outcome<T>,
) -> Outcome<Vec<(T, T)>> {
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let pair = if round % 2 == 0 {
            let ours = measure(true, round)?;
            (ours, measure(false, round)?)
        } else {
            let theirs = measure(false, round)?;
            (measure(true, round)?, theirs)
        };
        if round > 0 {
            measured.push(pair);
        }
    }
    Ok(measured)
}

pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => f64::NAN,
        length if length % 2 == 0 => f64::midpoint(numbers[middle - 1], numbers[middle]),
        _ => numbers[middle],
    }
}

/// The rows of the table, as they come.
#[derive(Debug)]
pub(crate) struct Report {
    head: String,
    rows: String,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        let how = if options.shared {
            "sharing all cores"
        } else {
            "on cores of their own"
        };
        Self {
            head: format!(
                "{}; servers and load {how}; medians of {} rounds of {:?}\n",
                process::machine(),
                options.rounds,
                options.load
            ),
            rows: String::new(),
        }
    }

    /// A figure that is compared with a baseline, in `unit`, and the bound of its ratio.
    pub(crate) fn ratio(&mut self, what: &str, unit: &str, compared: Compared, target: Target) {
        let Compared {
            ours,
            theirs,
            ratio,
        } = compared;
        let sides = [
            format!("{} {unit}", number(ours)),
            format!("{} {unit}", number(theirs)),
        ];
        self.row(
            what,
            &sides[0],
            &sides[1],
            &format!("{ratio:.2}"),
            target,
            target.met(ratio),
        );
    }

    /// A figure by itself, in `unit`, and its bound.
    pub(crate) fn figure(&mut self, what: &str, unit: &str, figure: f64, target: Target) {
        self.row(
            what,
            &format!("{} {unit}", number(figure)),
            "",
            "",
            target,
            target.met(figure),
        );
    }

    fn row(
        &mut self,
        what: &str,
        ours: &str,
        theirs: &str,
        ratio: &str,
        target: Target,
        met: &str,
    ) {
        let row = format!(
            "| {what} | {ours} | {theirs} | {ratio} | {} | {met} |",
            target.text()
        );
        // As it comes, for whoever waits; the table is printed at the end.
        eprintln!("{row}");
        writeln!(self.rows, "{row}").expect("a text takes more");
    }

    pub(crate) fn print(&self) {
        println!("{}", self.head);
        println!("| what | memgen | baseline | ratio | target | met |");
        println!("|---|---:|---:|---:|---:|---|");
        print!("{}", self.rows);
    }
}

/// A number with as many digits as mean something.
fn number(number: f64) -> String {
    if number >= 1000.0 {
        let whole = format!("{number:.0}");
        let mut text = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        text
    } else if number >= 100.0 {
        format!("{number:.0}")
    } else if number >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}
