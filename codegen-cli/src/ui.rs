//! What the command says: results on stdout, everything else on stderr.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use clap::ValueEnum;

use crate::{
    diagnostic::{Diagnostics, Severity},
    spec::Sources,
};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much is said, and how.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    quiet: bool,
    color: bool,
}

impl Ui {
    /// By the flags `--quiet` and `--color`.
    #[must_use]
    pub fn new(quiet: bool, color: Color) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            quiet,
            color: match color {
                Color::Auto => wanted && io::stderr().is_terminal(),
                Color::Always => true,
                Color::Never => false,
            },
        }
    }

    /// Whether colours are used.
    #[must_use]
    pub const fn color(self) -> bool {
        self.color
    }

    /// Whether only errors are said.
    #[must_use]
    pub const fn quiet(self) -> bool {
        self.quiet
    }

    /// A line about what is going on: `  Generated 12 files`. Not with `--quiet`.
    pub fn step(self, word: &str, what: impl fmt::Display) {
        if !self.quiet {
            self.line(word, "\x1b[1;32m", &what);
        }
    }

    /// Something that is not right, and does not stop the command.
    pub fn warning(self, what: impl fmt::Display) {
        if !self.quiet {
            self.message("warning", "\x1b[1;33m", &what);
        }
    }

    /// Why the command fails.
    pub fn error(self, what: impl fmt::Display) {
        self.message("error", "\x1b[1;31m", &what);
    }

    /// All that is wrong with a document, and how many.
    pub fn diagnostics(self, sources: &Sources, diagnostics: &Diagnostics) {
        for one in diagnostics {
            if one.severity == Severity::Error || !self.quiet {
                let _ = writeln!(io::stderr(), "{}", sources.render(one, self.color));
            }
        }
        let (errors, warnings) = (
            diagnostics.count(Severity::Error),
            diagnostics.count(Severity::Warning),
        );
        if errors > 0 {
            self.error(format_args!(
                "{} and {}",
                count(errors, "error"),
                count(warnings, "warning")
            ));
        } else if warnings > 0 {
            self.warning(format_args!(
                "{} in the document",
                count(warnings, "warning")
            ));
        }
    }

    /// Does something that takes a while, and says how long it took.
    pub fn timed<T>(self, word: &str, run: impl FnOnce() -> T) -> (T, f64) {
        if !self.quiet && io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "{word:>12} …\r");
        }
        let started = Instant::now();
        let done = run();
        (done, started.elapsed().as_secs_f64())
    }

    fn line(self, word: &str, paint: &str, what: &dyn fmt::Display) {
        let (paint, plain) = if self.color {
            (paint, "\x1b[0m")
        } else {
            ("", "")
        };
        let _ = writeln!(io::stderr(), "{paint}{word:>12}{plain} {what}");
    }

    fn message(self, word: &str, paint: &str, what: &dyn fmt::Display) {
        let (paint, plain) = if self.color {
            (paint, "\x1b[0m")
        } else {
            ("", "")
        };
        let _ = writeln!(io::stderr(), "{paint}{word}{plain}: {what}");
    }
}

/// `1 file`, `2 files`.
#[must_use]
pub fn count(number: usize, word: &str) -> String {
    if number == 1 {
        format!("1 {word}")
    } else {
        format!("{number} {word}s")
    }
}
