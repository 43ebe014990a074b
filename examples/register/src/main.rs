//! Registers: a JSON value under a name, kept in memory, in the log before it is acknowledged.
//!
//! One struct and two functions are the whole service. What is in `crud(…)` needs no code; `add` and `append` are
//! commands: they see the entity as all writes before them leave it, so a hundred clients can count together
//! without a lock and without losing one.

mod sum;

use memgen::prelude::*;
use serde_json::{Number, Value};

/// A JSON value under a name.
#[stateful_api(
    path = "/r",
    topic = "register",
    partitions = 8,
    crud(get, list, post, put, patch, delete, watch)
)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Register {
    /// The name. Any text but the empty one.
    #[key]
    pub key: String,
    /// What is kept under it: any JSON.
    pub value: Value,
}

/// What to add to a number.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// An integer or a fraction, of either sign.
    pub by: Number,
}

/// What to append to a list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// Any JSON. It becomes the last item.
    pub item: Value,
}

#[handlers]
impl Register {
    /// Adds to a number. A missing register counts as 0.
    ///
    /// 409 if the value is not a number, or if the sum would not fit into one.
    #[post("/{key}/add")]
    fn add(entry: &mut Entry<Self>, amount: Json<Add>) -> Result<Json<Self>, Conflict> {
        let register = existing_or(entry, || Value::from(0));
        let Value::Number(number) = &register.value else {
            return Err(differs(register, "a number"));
        };
        let sum = sum::sum(number, &amount.by).ok_or_else(|| {
            Conflict::new(format!("{number} + {} is not a JSON number", amount.by))
        })?;
        register.value = Value::Number(sum);
        Ok(Json(register.clone()))
    }

    /// Appends to a list. A missing register counts as `[]`.
    ///
    /// 409 if the value is not a list.
    #[post("/{key}/append")]
    fn append(entry: &mut Entry<Self>, new: Json<Append>) -> Result<Json<Self>, Conflict> {
        let register = existing_or(entry, || Value::Array(Vec::new()));
        let Value::Array(list) = &mut register.value else {
            return Err(differs(register, "a list"));
        };
        list.push(new.0.item);
        Ok(Json(register.clone()))
    }
}

fn existing_or(entry: &mut Entry<Register>, value: impl FnOnce() -> Value) -> &mut Register {
    let key = entry.key().clone();
    entry.or_insert_with(|| Register {
        key,
        value: value(),
    })
}

fn differs(register: &Register, wanted: &str) -> Conflict {
    let is = match register.value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Conflict::new(format!("`{}` holds {is}, not {wanted}", register.key))
}

memgen::main!(Register);
