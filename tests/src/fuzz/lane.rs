//! What travels in a lane between two nodes.

use memgen::fuzzing;

use super::{Mutator, Target, texts};
use crate::Random;

/// What stands in a frame.
const WORDS: [&str; 16] = [
    "GET",
    "POST",
    "/thing/a",
    "/_memgen/lane/0",
    "?a=b",
    "memgen-time-left-ms",
    "memgen-caller",
    "memgen-request",
    "content-length",
    "etag",
    "\0\0\0\x01a",
    "\0\x01",
    "\0\0\0\0",
    "\r\n",
    " ",
    "",
];

/// Bytes of a frame's length, which doesn't count itself.
const LENGTH_BYTES: usize = 4;

pub(super) struct Lane(Mutator);

impl Lane {
    pub(super) fn new() -> Self {
        Self(Mutator::new(texts("lane"), &WORDS))
    }
}

impl Target for Lane {
    fn name(&self) -> &'static str {
        "lane"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::from_seed(seed);
        if random.below(8) == 0 {
            return self.0.input(&mut random);
        }
        let mut input = Vec::new();
        for _ in 0..=random.below(3) {
            for mut frame in frames(self.0.pick(&mut random)) {
                if random.below(3) == 0 {
                    self.0.change(&mut frame, &mut random);
                }
                let length = u32::try_from(frame.len()).expect("it is short");
                input.extend(length.to_be_bytes());
                input.extend(frame);
            }
        }
        input
    }

    fn check(&self, input: &[u8]) -> bool {
        let Ok(once) = fuzzing::lane(input) else {
            return false;
        };
        let twice = fuzzing::lane(&once).expect("what was read can be read");
        assert_eq!(once, twice, "a frame is another now");
        // Fields of one name come together, and nothing else is another; what is behind the last whole frame is no frame yet.
        assert_eq!(frames(&once).len(), frames(input).len(), "a frame is gone");
        !once.is_empty()
    }
}

/// The frames without their lengths.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((frame, rest)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}
