//! What was asked for.

use std::time::Duration;

use crate::{Outcome, SECTIONS};

const HELP: &str = "\
cargo compare [SECTION]… [--rounds N] [--seconds S] [--quick] [--shared]

  --rounds N    rounds of each comparison, after one that does not count; 5 if not given
  --seconds S   how long each load lasts; 2 if not given
  --quick       short, to see that everything works; the figures mean nothing
  --shared      servers and load share all cores

The logs are in the system's folder for temporary files: `TMPDIR` says which disk is measured.";

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The sections; all if empty.
    pub(crate) sections: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) load: Duration,
    pub(crate) quick: bool,
    pub(crate) shared: bool,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Outcome<Self> {
        let mut options = Self {
            sections: Vec::new(),
            rounds: 5,
            load: Duration::from_secs(2),
            quick: false,
            shared: false,
        };
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| format!("`{arg}` needs a value\n\n{HELP}"))
            };
            match arg {
                // Cargo says this to every bench.
                "--bench" => {}
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.load = Duration::from_secs_f64(value()?.parse()?),
                "--quick" => {
                    options.quick = true;
                    options.rounds = 2;
                    options.load = Duration::from_millis(200);
                }
                "--shared" => options.shared = true,
                section if SECTIONS.iter().any(|(name, _)| *name == section) => {
                    options.sections.push(section.to_owned());
                }
                other => {
                    let names = SECTIONS.map(|(name, _)| name).join(", ");
                    return Err(format!("`{other}`? The sections are {names}.\n\n{HELP}").into());
                }
            }
        }
        Ok(options)
    }

    /// `usual`, or less of it where only the bench itself is tried.
    pub(crate) fn amount(&self, usual: usize) -> usize {
        if self.quick {
            (usual / 100).max(10)
        } else {
            usual
        }
    }
}
