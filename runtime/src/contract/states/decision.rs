//! What the generator wrote into the document: `x-memgen` at its root and in its operations.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The name of the extension.
pub(crate) const EXTENSION: &str = "x-memgen";

/// `x-memgen` at the root.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Decisions {
    #[serde(default)]
    pub(crate) states: BTreeMap<String, StateDecision>,
}

/// What is kept as a state.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StateDecision {
    /// The entity's schema, such as `#/components/schemas/Pet`.
    pub(crate) schema: String,
    /// The key, in order: those of the parents first.
    pub(crate) key: Vec<KeyDecision>,
    /// What the server sets in an entity, by place.
    #[serde(default)]
    pub(crate) fill: BTreeMap<String, Fill>,
}

/// A part of the key of a state.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct KeyDecision {
    /// The path parameter.
    pub(crate) parameter: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: KeyKind,
    /// Where the entity has it; nowhere if only the path does.
    #[serde(default)]
    pub(crate) at: Option<String>,
}

/// The type of a part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyKind {
    Int32,
    Int64,
    Uint32,
    Uint64,
    String,
    Uuid,
}

impl KeyKind {
    /// The text of the part that is before all others.
    pub(crate) const fn smallest(self) -> &'static str {
        match self {
            Self::Int32 => "-2147483648",
            Self::Int64 => "-9223372036854775808",
            Self::Uint32 | Self::Uint64 => "0",
            // No key is empty or has a NUL.
            Self::String => "\u{1}",
            Self::Uuid => "00000000-0000-0000-0000-000000000000",
        }
    }
}

/// What the server sets if it is absent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fill {
    /// The time at which the entity was made.
    Created,
    /// The time at which it was written last.
    Updated,
    /// This value.
    Value(Value),
}

/// `x-memgen` of an operation on a state.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct OperationDecision {
    pub(crate) state: String,
    pub(crate) action: Action,
    /// The status of a success.
    #[serde(default)]
    pub(crate) status: Option<u16>,
    /// Where the key comes from; of a list only the parents' part of it.
    #[serde(default)]
    pub(crate) key: Vec<KeySource>,
    /// Where the request's body has the entity.
    #[serde(default)]
    pub(crate) request: Option<String>,
    /// Where the success body has the entity, or the list of them.
    #[serde(default)]
    pub(crate) reply: Option<String>,
    /// What `replace` does if there is nothing to replace.
    #[serde(default)]
    pub(crate) missing: Missing,
    #[serde(default)]
    pub(crate) list: ListDecision,
    /// Query parameters that the document has and the state can't serve.
    #[serde(default)]
    pub(crate) refuses: Vec<String>,
    /// What must exist for a new entity.
    #[serde(default)]
    pub(crate) parent: Option<ParentDecision>,
}

/// What an operation does with a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Create,
    List,
    Get,
    Replace,
    Update,
    Delete,
}

/// Where a part of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeySource {
    /// The path parameter of this name.
    Parameter(String),
    /// This place of the entity in the request's body.
    Body(String),
    /// The server makes it.
    Server(KeyKind),
}

/// What becomes of a `replace` where nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Missing {
    #[serde(rename = "create")]
    Create,
    #[default]
    #[serde(rename = "404")]
    NotFound,
}

/// The parameters and the places of a list. Names are those of the decoded parameters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListDecision {
    pub(crate) limit: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) offset: Option<String>,
    pub(crate) page: Option<String>,
    pub(crate) next: Option<String>,
    pub(crate) total: Option<String>,
    pub(crate) more: Option<String>,
    pub(crate) filters: BTreeMap<String, String>,
}

/// The state of a parent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ParentDecision {
    pub(crate) state: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn decisions_are_read_as_they_are_written() {
        let root: Decisions = serde_json::from_value(json!({"states": {"pet": {
            "schema": "#/components/schemas/Pet", "topic": "pet", "partitions": 16, "partition_by": 1,
            "key": [{"parameter": "petId", "type": "int64", "at": "/id"}, {"parameter": "x", "type": "uuid"}],
            "fill": {"/createdAt": "created", "/updatedAt": "updated", "/status": {"value": "available"}},
        }}}))
        .unwrap();
        let pet = &root.states["pet"];
        assert_eq!(pet.key[0].kind, KeyKind::Int64);
        assert_eq!(pet.key[1].at, None);
        assert_eq!(pet.fill["/updatedAt"], Fill::Updated);
        assert_eq!(pet.fill["/status"], Fill::Value(json!("available")));
        let operation: OperationDecision = serde_json::from_value(json!({
            "state": "pet", "action": "replace", "status": 201,
            "key": [{"parameter": "ownerId"}, {"body": "/id"}, {"server": "string"}],
            "request": "/data", "reply": "", "missing": "create",
            "list": {"limit": "limit", "filters": {"status": "/status"}}, "parent": {"state": "owner"},
        }))
        .unwrap();
        assert_eq!(operation.key[2], KeySource::Server(KeyKind::String));
        assert_eq!(
            (operation.missing, operation.list.filters.len()),
            (Missing::Create, 1)
        );
        let operation: OperationDecision =
            serde_json::from_value(json!({"state": "pet", "action": "get"})).unwrap();
        assert_eq!(operation.missing, Missing::NotFound);
    }
}
