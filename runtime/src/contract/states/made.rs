//! Keys that the server makes.

use uuid::{Builder, Uuid, Version};

use super::{decision::KeyKind, pattern::varied, schema::Schema};
use crate::ambient::now_ms;

/// 2020-01-01, in milliseconds since 1970: 40 bits of milliseconds last until 2054.
const START_MS: u64 = 1_577_836_800_000;

/// How often another key is made because the first one is taken.
pub(crate) const TRIES_MAX: u32 = 16;

/// What the keys of one request are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seed {
    /// Chance, and the time.
    Random,
    /// A hash of a request that may come again, so that it meets its first answer.
    Request(u128),
}

impl Seed {
    /// The seed of a request with this `Idempotency-Key`.
    pub(crate) fn of(operation: &str, target: &str, idempotency_key: &[u8]) -> Self {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for part in [operation.as_bytes(), target.as_bytes(), idempotency_key] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self::Request(hash.digest128())
    }

    fn bits(self, attempt: u32) -> u128 {
        match self {
            Self::Random => Uuid::new_v4().as_u128(),
            Self::Request(seed) => {
                let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(u64::from(attempt));
                hash.update(&seed.to_le_bytes());
                hash.digest128()
            }
        }
    }
}

/// The longest key that is made because a schema asks for so many characters at least.
const LENGTH_MIN_MAX: usize = 256;

/// The bounds that a schema sets to a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    least: Option<i64>,
    most: Option<i64>,
    length_min: usize,
    length_max: Option<usize>,
    pattern: Option<String>,
}

impl Bounds {
    pub(crate) fn new(schema: Schema<'_>) -> Self {
        let number = |name| schema.keyword(name).and_then(serde_json::Value::as_i64);
        let length = |name| number(name).and_then(|length| usize::try_from(length).ok());
        Self {
            least: number("minimum").or_else(|| number("exclusiveMinimum")?.checked_add(1)),
            most: number("maximum").or_else(|| number("exclusiveMaximum")?.checked_sub(1)),
            length_min: length("minLength").unwrap_or(0).min(LENGTH_MIN_MAX),
            length_max: length("maxLength"),
            pattern: schema
                .keyword("pattern")
                .and_then(serde_json::Value::as_str)
                .map(str::to_owned),
        }
    }
}

/// The text of a key that is most likely new.
pub(crate) fn make(kind: KeyKind, bounds: &Bounds, seed: Seed, attempt: u32) -> String {
    let bits = seed.bits(attempt);
    match kind {
        KeyKind::Int64 | KeyKind::Uint64 => {
            let low = (bits & 0x1fff) as i64;
            let high = match seed {
                Seed::Random => (now_ms().saturating_sub(START_MS) & 0xff_ffff_ffff).cast_signed(),
                Seed::Request(_) => ((bits >> 13) & 0xff_ffff_ffff) as i64,
            };
            within(high << 13 | low, bounds).to_string()
        }
        KeyKind::Int32 | KeyKind::Uint32 => within((bits & 0x7fff_ffff) as i64, bounds).to_string(),
        KeyKind::Uuid => uuid(seed, bits).to_string(),
        KeyKind::String => text(bounds, seed, bits),
    }
}

/// A text as the schema wants it, else one that begins with the time.
fn text(bounds: &Bounds, seed: Seed, bits: u128) -> String {
    let lengths = bounds.length_min.max(1)..=bounds.length_max.unwrap_or(usize::MAX);
    let by_pattern = |pattern: &String| varied(pattern, lengths.clone(), bits);
    if let Some(text) = bounds.pattern.as_ref().and_then(by_pattern) {
        return text;
    }
    let mut text = uuid(seed, bits).simple().to_string();
    if text.len() < bounds.length_min {
        let more = format!("{bits:032x}").repeat(bounds.length_min / 32);
        text.push_str(&more[..bounds.length_min - text.len()]);
    }
    if let Some(length) = bounds.length_max.filter(|length| *length < text.len()) {
        // The end of it is chance; the beginning is time.
        text.drain(..text.len() - length.max(1));
    }
    text
}

fn uuid(seed: Seed, bits: u128) -> Uuid {
    match seed {
        Seed::Random => Uuid::now_v7(),
        Seed::Request(_) => Builder::from_u128(bits)
            .with_variant(uuid::Variant::RFC4122)
            .with_version(Version::Custom)
            .into_uuid(),
    }
}

/// An id from 1 on, if the bounds do not say otherwise.
fn within(number: i64, bounds: &Bounds) -> i64 {
    let least = bounds.least.unwrap_or(1).max(1);
    let most = bounds.most.unwrap_or(i64::MAX).max(least);
    if (least..=most).contains(&number) {
        return number;
    }
    let span = i128::from(most) - i128::from(least) + 1;
    let offset = (i128::from(number) - i128::from(least)).rem_euclid(span);
    i64::try_from(i128::from(least) + offset).unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FREE: Bounds = Bounds {
        least: None,
        most: None,
        length_min: 0,
        length_max: None,
        pattern: None,
    };

    #[test]
    fn made_keys_are_of_their_type() {
        for seed in [Seed::Random, Seed::of("createPet", "/pets", b"k")] {
            for attempt in 0..100 {
                let int64: i64 = make(KeyKind::Int64, &FREE, seed, attempt).parse().unwrap();
                assert!((1..1 << 53).contains(&int64), "{int64}");
                let int32: i32 = make(KeyKind::Int32, &FREE, seed, attempt).parse().unwrap();
                assert!(int32 >= 1);
                make(KeyKind::Uuid, &FREE, seed, attempt)
                    .parse::<Uuid>()
                    .unwrap();
                assert_eq!(make(KeyKind::String, &FREE, seed, attempt).len(), 32);
            }
        }
    }

    #[test]
    fn a_request_that_comes_again_gets_the_same_keys() {
        let seed = |operation, target, key| Seed::of(operation, target, key);
        let key = |seed, attempt| make(KeyKind::Int64, &FREE, seed, attempt);
        let first = key(seed("a", "/x", b"k"), 0);
        assert_eq!(first, key(seed("a", "/x", b"k"), 0));
        for other in [
            key(seed("a", "/x", b"k"), 1),
            key(seed("b", "/x", b"k"), 0),
            key(seed("a", "/y", b"k"), 0),
            key(seed("a", "/x", b"l"), 0),
            key(seed("a/", "x", b"k"), 0),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn bounds_hold() {
        for (schema, kind, longest) in [
            (json!({"minimum": 1000, "maximum": 9999}), KeyKind::Int64, 4),
            (
                json!({"exclusiveMinimum": 99, "exclusiveMaximum": 1000}),
                KeyKind::Int32,
                3,
            ),
            (json!({"maxLength": 12}), KeyKind::String, 12),
            (json!({"maxLength": 0}), KeyKind::String, 1),
            (json!({"minLength": 40}), KeyKind::String, 40),
            (json!({"pattern": "^[0-9]{9}$"}), KeyKind::String, 9),
            (
                json!({"pattern": "^p-[a-z]*$", "maxLength": 18}),
                KeyKind::String,
                18,
            ),
        ] {
            let bounds = Bounds::new(Schema::new(&schema, &schema));
            for attempt in 0..100 {
                let made = make(kind, &bounds, Seed::Random, attempt);
                assert_eq!(made.len(), longest, "{schema}: {made}");
            }
        }
    }
}
