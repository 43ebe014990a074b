//! JSON that stays JSON, with other values in it: so a decoder of messages gets past the first byte that is wrong.

use std::mem::discriminant;

use serde_json::{Value, json};

use super::below;
use crate::Random;

/// A value somewhere within another one: the deeper there is, the deeper it may be.
fn place<'v>(mut value: &'v mut Value, random: &mut Random) -> &'v mut Value {
    while random.below(4) > 0 {
        let length = match &*value {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        if length == 0 {
            break;
        }
        let at = below(random, length);
        value = match value {
            Value::Array(items) => &mut items[at],
            Value::Object(members) => members.values_mut().nth(at).expect("it was counted"),
            _ => unreachable!("it has no length"),
        };
    }
    value
}

/// Changes something in `value`, maybe to something of `other`.
pub(super) fn change(value: &mut Value, other: &mut Value, random: &mut Random) {
    let new = place(other, random).clone();
    let old = place(value, random);
    match (below(random, 9), old) {
        (0, Value::Object(members)) => {
            let name = members.keys().nth(below(random, members.len())).cloned();
            if let Some(name) = name {
                members.remove(&name);
            }
        }
        (1, Value::Array(items)) => items.push(new),
        (1, Value::Object(members)) => {
            if let Value::Object(more) = new {
                members.extend(more);
            }
        }
        (2..=6, old @ Value::Number(_)) => {
            let numbers = [
                0,
                1,
                2,
                u64::from(u32::MAX),
                i64::MAX as u64,
                u64::MAX - 1,
                u64::MAX,
            ];
            *old = numbers[below(random, numbers.len())].into();
        }
        (2..=6, Value::String(text)) => {
            let texts = ["", "a", "thing/0", "thing/9", "\0", "ÿ", "a/b", "counts/0"];
            text.push_str(texts[below(random, texts.len())]);
        }
        // Mostly of its kind.
        (2..=6, old) => {
            if discriminant(old) == discriminant(&new) {
                *old = new;
            }
        }
        (7, old) => {
            let plain = [
                json!(null),
                json!(-1),
                json!(true),
                json!(""),
                json!([]),
                json!({}),
            ];
            old.clone_from(&plain[below(random, plain.len())]);
        }
        (_, old) => *old = new,
    }
}
