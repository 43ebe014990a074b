//! Keys as text and as parts of paths: one text for each key, another for another, and the order that ranges rely upon.

use std::{borrow::Cow, cmp::Ordering};

use memgen::{
    State, fuzzing,
    key::{KeyReader, key_text, key_values, parse_key, partition_text},
    prelude::*,
};

use super::{Mutator, Target, texts};
use crate::Random;

const WORDS: [&str; 22] = [
    "/",
    "%2F",
    "%25",
    "%",
    "%00",
    "\0",
    "%ff",
    "%C3%BC",
    "ü",
    "\u{10ffff}",
    ".",
    "..",
    "-0",
    "+1",
    "007",
    "true",
    "Red",
    "dark blue",
    "67e55044-10b1-426f-9247-bb680e5fe0c8",
    "18446744073709551615",
    "\n",
    "~",
];

/// A text.
#[stateful_api(path = "/text")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Text {
    #[key]
    name: String,
}

/// A number with a sign.
#[stateful_api(path = "/number")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Number {
    #[key]
    number: i64,
}

/// An id.
#[stateful_api(path = "/id")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Id {
    #[key]
    id: Uuid,
}

/// An order of a customer.
#[stateful_api(path = "/customers/{customer}/orders")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Order {
    #[key]
    #[partition_by]
    customer: String,
    #[key]
    number: u32,
}

/// A color.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
enum Color {
    Red,
    #[serde(rename = "dark blue")]
    DarkBlue,
    #[serde(rename = "50 % / 50 %")]
    Mixed,
}

/// A pixel.
#[stateful_api(path = "/pixel")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Pixel {
    #[key]
    #[partition_by]
    screen: String,
    #[key]
    #[partition_by]
    layer: char,
    #[key]
    color: Color,
    #[key]
    on: bool,
}

/// Lines, each the text of a key.
pub(super) struct Keys(Mutator);

impl Keys {
    pub(super) fn new() -> Self {
        Self(Mutator::new(texts("key"), &WORDS))
    }
}

impl Target for Keys {
    fn name(&self) -> &'static str {
        "key"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        self.0.input(&mut Random::from_seed(seed))
    }

    fn check(&self, input: &[u8]) -> bool {
        let text = String::from_utf8_lossy(input);
        let lines: Vec<&str> = text.split('\n').take(5).collect();
        for line in &lines {
            for template in ["/{a}", "/x/{a}/y/{b}", "/{b}/{a}"] {
                drop(fuzzing::value_in_path(template, &format!("/{line}"), "a"));
            }
        }
        [
            state::<Text>(&lines),
            state::<Number>(&lines),
            state::<Id>(&lines),
            state::<Order>(&lines),
            state::<Pixel>(&lines),
        ]
        .contains(&true)
    }
}

/// The keys among these, of one state, each by itself and beside each other.
fn state<S: State>(lines: &[&str]) -> bool {
    let keys: Vec<S::Key> = lines
        .iter()
        .filter_map(|line| parse_key::<S>(line).ok())
        .collect();
    for key in &keys {
        one::<S>(key);
    }
    for a in &keys {
        for b in &keys {
            two::<S>(a, b);
            for c in &keys {
                three::<S>(a, b, c);
            }
        }
    }
    !keys.is_empty()
}

fn one<S: State>(key: &S::Key) {
    let text = key_text::<S>(key);
    let name = S::DEFINITION.name;
    assert!(
        !text.is_empty() && !text.contains('\0'),
        "a key of {name} has no such text: {text:?}"
    );
    let again = parse_key::<S>(&text)
        .unwrap_or_else(|error| panic!("{text:?} is a key of {name}, and is not read: {error}"));
    assert!(again == *key, "{text:?} is another key of {name} now");
    assert_eq!(key_text::<S>(&again), text);
    assert_eq!(key_values::<S>(key).len(), S::DEFINITION.key_fields.len());
    // By its own path, a server finds it.
    let path = fuzzing::path_of::<S>(key);
    assert!(path.is_ascii() && !path.contains('?'), "{path:?}");
    let parts = S::DEFINITION.key_fields.iter().map(|field| {
        fuzzing::value_in_path(S::DEFINITION.item, &path, field)
            .unwrap_or_else(|status| panic!("{path:?}: {status}"))
    });
    let parts: Vec<Cow<'_, str>> = parts.map(Into::into).collect();
    let found = S::read_key(&mut KeyReader::new(&parts));
    assert!(
        found.is_ok_and(|found| found == *key),
        "{path:?} is not the path of {text:?}"
    );
}

/// One text for one key: otherwise two entities would share a place in the log, or one would have two.
fn two<S: State>(a: &S::Key, b: &S::Key) {
    let (one, other) = (key_text::<S>(a), key_text::<S>(b));
    assert_eq!(a == b, one == other, "{one:?} and {other:?}");
    assert_eq!(a.cmp(b) == Ordering::Equal, a == b);
    if S::DEFINITION.key_fields.len() == 1 && S::DEFINITION.name == "Text" {
        assert_eq!(
            a.cmp(b),
            one.cmp(&other),
            "a prefix is no range: {one:?} and {other:?}"
        );
    }
}

/// Where the partition is decided by the first fields, the keys of one lie behind one another.
fn three<S: State>(a: &S::Key, b: &S::Key, c: &S::Key) {
    let definition = S::DEFINITION;
    let in_a_row = !definition.partition_by.is_empty()
        && definition.key_fields.starts_with(definition.partition_by);
    if !(in_a_row && a < b && b < c) {
        return;
    }
    let [a, b, c] = [a, b, c].map(|key| partition_text::<S>(&key_text::<S>(key)).into_owned());
    assert!(a != c || a == b, "{b:?} lies between {a:?} and {c:?}");
}
