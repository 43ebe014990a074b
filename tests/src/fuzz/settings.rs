//! `memgen.toml`.

use memgen::fuzzing;

use super::{Mutator, Target, texts};
use crate::Random;

const WORDS: [&str; 30] = [
    "http",
    "serve",
    "log",
    "coordinator",
    "nodes",
    "credentials",
    "memory-max",
    "ack",
    "kafka.",
    "kafka.client.id",
    "[kafka]",
    "\n",
    " = ",
    "\"",
    "'''",
    "\"\"\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "a.",
    "127.0.0.1:0",
    "zookeeper://a:2181/b",
    "kafka://[::1]:9092",
    "1KiB",
    "0..3",
    "\\u0000",
    "\u{feff}",
];

pub(super) struct Settings(Mutator);

impl Settings {
    pub(super) fn new() -> Self {
        Self(Mutator::new(texts("settings"), &WORDS))
    }
}

impl Target for Settings {
    fn name(&self) -> &'static str {
        "settings"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        self.0.input(&mut Random::from_seed(seed))
    }

    fn check(&self, input: &[u8]) -> bool {
        // Whoever reads the file refuses what is no text.
        let text = String::from_utf8_lossy(input);
        let (mut config, written) = match fuzzing::settings(&text) {
            Ok(read) => read,
            Err(why) => {
                assert!(why.contains("wrong"), "{why:?} tells nobody anything");
                return false;
            }
        };
        let again = fuzzing::settings(&written);
        let (mut again, twice) =
            again.unwrap_or_else(|why| panic!("{why}\nof what was written:\n{written}"));
        // Those are of what was said, and not of what is.
        config.warnings.clear();
        again.warnings.clear();
        assert_eq!(config, again, "settings are others now:\n{written}");
        assert_eq!(written, twice);
        true
    }

    /// The table of a file is many times as long as the file: each key and value says where it stands.
    fn bytes_max(&self, input_bytes: usize) -> usize {
        (1 << 20) + 1024 * input_bytes
    }

    fn chunk(&self) -> u64 {
        100
    }
}
