//! What nodes send each other, without the network: a message that is taken for another one would be carried out as another one.

use memgen::fuzzing::MESSAGES;
use serde_json::Value;

use super::{Mutator, Target, below, json, texts};
use crate::Random;

/// What messages are made of.
pub(super) const WORDS: [&str; 40] = [
    r#""Prepare""#,
    r#""Finish""#,
    r#""Abort""#,
    r#""Ask""#,
    r#""Commit""#,
    r#""Claim""#,
    r#""Release""#,
    r#""Read""#,
    r#""List""#,
    r#""AreStill""#,
    r#""Included""#,
    r#""Excluded""#,
    r#""Unbounded""#,
    r#""There""#,
    r#""Absent""#,
    r#""All""#,
    r#""Until""#,
    r#""Poison""#,
    "\"Unbounded\"",
    r#""00000000000000000000000000000001""#,
    r#"{"epoch":1,"incarnation":2,"number":3}"#,
    r#"{"incarnation":7,"number":9}"#,
    r#""thing/0""#,
    r#""thing/1""#,
    r#""nothing/4294967295""#,
    "null",
    "true",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "1e400",
    "-1",
    "0.5",
    "ÿ",
];

/// Messages by themselves: a line that says where it is sent, and the message.
pub(super) struct Messages(Mutator);

impl Messages {
    pub(super) fn new() -> Self {
        Self(Mutator::new(bodies(), &WORDS))
    }
}

/// The messages of the corpus of the peer listener, each behind its line, and those that are answers.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let requests = texts("peer").into_iter().filter_map(|text| {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        Some(text[end + 1..].to_vec())
    });
    requests.chain(texts("message")).collect()
}

/// One of these messages, with a few things wrong: mostly such that it is JSON all the same.
pub(super) fn body(bodies: &Mutator, random: &mut Random) -> Vec<u8> {
    let read = serde_json::from_slice(bodies.pick(random));
    let other = serde_json::from_slice(bodies.pick(random));
    match (read, other) {
        (Ok(mut message), Ok(mut other)) if random.below(4) > 0 => {
            for _ in 0..=below(random, 3) / 2 {
                json::change(&mut message, &mut other, random);
            }
            message.to_string().into_bytes()
        }
        _ => bodies.input(random),
    }
}

impl Target for Messages {
    fn name(&self) -> &'static str {
        "message"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::from_seed(seed);
        body(&self.0, &mut random)
    }

    fn check(&self, input: &[u8]) -> bool {
        let mut was_read = false;
        for (name, again) in MESSAGES {
            let Ok(once) = again(input) else {
                continue;
            };
            was_read = true;
            // What nobody looks at may be no UTF-8, and then the whole is no JSON.
            let (before, after) = (
                serde_json::from_slice::<Value>(input),
                serde_json::from_slice::<Value>(&once),
            );
            if let (Ok(before), Ok(after)) = (before, after) {
                assert!(
                    is_in(&before, &after),
                    "a part of a message of the kind `{name}` is another now: {after}"
                );
                if *name == "item" {
                    // Each place in a feed has one text.
                    assert_eq!(after["at"], before["at"], "{after}");
                }
            }
            match again(&once) {
                Ok(twice) => assert!(
                    once == twice,
                    "a message of the kind `{name}` is another now: {}",
                    String::from_utf8_lossy(&once)
                ),
                Err(why) => panic!("{name}: {why}: {}", String::from_utf8_lossy(&once)),
            }
        }
        was_read
    }
}

/// Whether what was read is what was there, as far as it has the same form. Some texts have numbers in them, which may be written in more than one way.
fn is_in(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let mut after = after.iter();
            after.all(|(name, after)| before.get(name).is_none_or(|before| is_in(before, after)))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .zip(after)
                    .all(|(before, after)| is_in(before, after))
        }
        (Value::String(before), Value::String(after)) => {
            before.contains(|c: char| c.is_ascii_digit() || c == '+')
                || before.eq_ignore_ascii_case(after)
        }
        (Value::Number(before), Value::Number(after)) => before == after,
        _ => true,
    }
}
