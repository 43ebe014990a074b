//! Chance that can be repeated.

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

/// The variable that holds the seed of a run to repeat.
pub const SEED_VARIABLE: &str = "MEMGEN_TEST_SEED";

/// Numbers that look random and follow from a seed: `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// From the seed in `MEMGEN_TEST_SEED`, or else from the clock. The seed is printed, so that the run can be repeated.
    #[must_use]
    #[allow(clippy::print_stdout, reason = "cargo shows it where a test fails")]
    pub fn new() -> Self {
        let seed = match env::var(SEED_VARIABLE) {
            Ok(seed) => seed.parse().expect("the seed is a number"),
            Err(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::from(since.subsec_nanos()) ^ since.as_secs()),
        };
        println!("{SEED_VARIABLE}={seed}");
        Self::from_seed(seed)
    }

    /// From this seed.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u32) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "it is below a u32")]
        let below = (self.next() % bound as u64) as u32;
        below
    }

    /// Another source, independent of this one from here on.
    #[must_use]
    pub const fn split(&mut self) -> Self {
        Self::from_seed(self.next())
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
