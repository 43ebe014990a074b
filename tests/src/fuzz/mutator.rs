//! Bytes with a few things wrong.

use super::below;
use crate::Random;

/// The most changes to one input.
const CHANGES_MAX: usize = 5;
/// No input is longer: what is wrong with a long one mostly is with a short one.
const BYTES_MAX: usize = 64 << 10;
/// Numbers near which lengths and counts go wrong.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    127,
    255,
    256,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Makes inputs of others.
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    /// What means something to the decoder.
    words: &'static [&'static str],
}

impl Mutator {
    /// One that makes them of these, with these words.
    #[must_use]
    pub fn new(corpus: Vec<Vec<u8>>, words: &'static [&'static str]) -> Self {
        assert!(!corpus.is_empty(), "something must be there to be damaged");
        Self { corpus, words }
    }

    /// One of the corpus, as it is.
    pub fn pick(&self, random: &mut Random) -> &[u8] {
        &self.corpus[below(random, self.corpus.len())]
    }

    /// One of the corpus, changed.
    pub fn input(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.pick(random).to_vec();
        for _ in 0..=below(random, CHANGES_MAX) {
            self.change(&mut bytes, random);
        }
        bytes
    }

    /// Changes something.
    pub fn change(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        let at = below(random, bytes.len() + 1);
        let most = 1 << below(random, 9);
        let end = (at + 1 + below(random, most)).min(bytes.len());
        match below(random, 11) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << below(random, 8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next().to_le_bytes()[0];
                }
            }
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                let copy = bytes[at..end].to_vec();
                let to = below(random, bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            // So often that it is deep or long.
            5 => {
                let part = &bytes[at..end];
                let room = BYTES_MAX.saturating_sub(bytes.len()) / part.len().max(1);
                let most = 1 << below(random, 14);
                let copies = part.repeat(below(random, most).min(room));
                bytes.splice(at..at, copies);
            }
            6 => binary_number(bytes, at, random),
            7 => number_of_text(bytes, at, random),
            8 | 9 => {
                let word = self.words.get(below(random, self.words.len()));
                let word = word.copied().unwrap_or_default().as_bytes();
                let to = if random.below(2) == 0 { at } else { end };
                bytes.splice(at..to, word.iter().copied());
            }
            // A part of another one takes the place.
            _ => {
                let other = self.pick(random);
                let from = below(random, other.len() + 1);
                let until = (from + end - at).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
        }
        bytes.truncate(BYTES_MAX);
    }
}

/// A number of one to eight bytes becomes another, or is a little off.
fn binary_number(bytes: &mut [u8], at: usize, random: &mut Random) {
    let width = 1 << below(random, 4);
    let Some(place) = bytes.get_mut(at..at + width) else {
        return;
    };
    let mut old = [0; 8];
    old[..width].copy_from_slice(place);
    let new = if random.below(2) == 0 {
        NUMBERS[below(random, NUMBERS.len())]
    } else {
        let by = u64::from(random.below(9)).wrapping_sub(4);
        u64::from_le_bytes(old).wrapping_add(by)
    };
    place.copy_from_slice(&new.to_le_bytes()[..width]);
}

/// A number that is written with digits becomes another.
fn number_of_text(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let from = at + from;
    let length = bytes[from..].iter().position(|byte| !byte.is_ascii_digit());
    let end = length.map_or(bytes.len(), |length| from + length);
    let number = NUMBERS[below(random, NUMBERS.len())];
    bytes.splice(from..end, number.to_string().bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_follows_from_its_seed() {
        let corpus = vec![b"{\"a\": 17, \"b\": [1, 2, 3]}".to_vec(), vec![0; 40]];
        let mutator = Mutator::new(corpus, &["true", "\u{0}"]);
        let inputs = |seed| mutator.input(&mut Random::from_seed(seed));
        let mut all: Vec<_> = (0..1000).map(inputs).collect();
        assert!((0..).zip(&all).all(|(seed, input)| inputs(seed) == *input));
        assert!(all.iter().all(|input| input.len() <= BYTES_MAX));
        all.sort();
        all.dedup();
        assert!(all.len() > 700, "only {} are different", all.len());
    }
}
