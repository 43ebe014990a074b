//! Each row is two types and what is said when the one takes the place of the other.

#[cfg(feature = "simulation")]
mod guard;
mod referee;
mod rows;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    asked::Asked,
    finding::{Finding, Owner},
    node::Layout,
};

/// The layout of a type.
fn of<T: Serialize + DeserializeOwned + JsonSchema>() -> Layout {
    Asked::of::<T>().layout
}

/// What is said, a line for each finding: `error PLACE: …` or `note PLACE: …`.
fn said<Old, New>() -> Vec<String>
where
    Old: Serialize + DeserializeOwned + JsonSchema,
    New: Serialize + DeserializeOwned + JsonSchema,
{
    let findings = Asked::of::<New>().compare("S", &of::<Old>());
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
    let findings = Asked::of::<New>().compare("S", &of::<Old>());
    findings
        .iter()
        .filter_map(|finding| finding.mend(owner))
        .collect()
}
