//! Each row is two types and what is said when the one takes the place of the other.

#[cfg(feature = "testing")]
mod guard;
mod referee;
mod rows;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    asked::Asked,
    discover::{Described, discover},
    finding::{Finding, Owner},
    node::Layout,
    oracle::Unread,
};

/// The layout of a type.
fn of<T: Serialize + DeserializeOwned + JsonSchema>() -> Layout {
    Asked::of::<T>(None).layout
}

/// What is said, a line for each finding: `error PLACE: …` or `note PLACE: …`.
fn said<Old, New>() -> Vec<String>
where
    Old: Serialize + DeserializeOwned + JsonSchema,
    New: Serialize + DeserializeOwned + JsonSchema,
{
    let findings = Asked::of::<New>(None).compare("S", &of::<Old>());
    let line = |finding: &Finding| {
        let word = if finding.is_error() { "error" } else { "note" };
        format!("{word} {}: {}", finding.place, finding.what())
    };
    findings.iter().map(line).collect()
}

/// What mends each error.
fn mends<Old, New>() -> Vec<String>
where
    Old: Serialize + DeserializeOwned + JsonSchema,
    New: Serialize + DeserializeOwned + JsonSchema,
{
    let owner = Owner {
        state: "S",
        entity: None,
    };
    let findings = Asked::of::<New>(None).compare("S", &of::<Old>());
    findings
        .iter()
        .filter_map(|finding| finding.mend(owner))
        .collect()
}

/// Types that all have one another have more values than can be made, let alone tried: this ends.
#[test]
fn types_that_all_lead_to_one_another_come_to_an_end() {
    const TYPES: usize = 40;
    let names: Vec<String> = (0..TYPES).map(|number| format!("T{number}")).collect();
    let properties: Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), json!({"$ref": format!("#/$defs/{name}")})))
        .collect();
    let mut all = json!({"type": "object", "properties": properties, "required": names});
    let types: Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), all.clone()))
        .collect();
    all["title"] = json!("S");
    all["$defs"] = types.into();
    let described = Described {
        written: all.clone(),
        read: all,
    };
    let none = |_: &Value| Err(Unread::default());
    let layout = discover(described, None, Some(&none));
    assert_eq!(layout.types.len(), TYPES + 1);
}
