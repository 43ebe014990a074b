//! Which partition a key belongs to, by the rule of Kafka's default partitioner.
//!
//! The hash is Kafka's variant of Austin Appleby's `MurmurHash2` (`org.apache.kafka.common.utils.Utils.murmur2`),
//! so that outside producers and consumers of a changelog agree with memgen.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// Kafka's murmur2 hash of `data`.
///
/// ```
/// use memgen::partitioner::murmur2;
/// assert_eq!(murmur2(b"21"), -973_932_308);
/// ```
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // the algorithm is on wrapping 32 bits
pub fn murmur2(data: &[u8]) -> i32 {
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash as i32
}

/// The partition of a key among `partitions`.
///
/// ```
/// use memgen::partitioner::partition;
/// assert_eq!(partition(b"foobar", 8), 6);
/// ```
///
/// # Panics
/// If `partitions` is 0; a topic has at least one.
#[must_use]
pub fn partition(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key).cast_unsigned() & 0x7fff_ffff) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_kafka() {
        for (text, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn partitions_are_positive_for_negative_hashes() {
        for key in ["21", "foobar", "abc"] {
            assert!(partition(key.as_bytes(), 8) < 8);
        }
        assert_eq!(partition(b"21", 1), 0);
    }
}
