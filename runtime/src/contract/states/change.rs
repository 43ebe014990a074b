//! What an update asks for, and the entity after it.

use serde_json::Value;

use super::{
    operation::StateOperation,
    patch::{PatchLimits, patch},
};
use crate::problem::Problem;

/// A change of an entity.
#[derive(Debug)]
pub(crate) enum Change {
    /// What is to be another value (RFC 7396).
    Merge(Value),
    /// Steps (RFC 6902).
    Patch(Value, PatchLimits),
}

impl Change {
    /// The entity after it. What is read-only stays, but for what the request's own schema offers.
    pub(crate) fn apply(
        &self,
        operation: &StateOperation,
        before: &Value,
    ) -> Result<Value, Problem> {
        let mut entity = before.clone();
        let given = match self {
            Self::Merge(given) => given,
            Self::Patch(steps, limits) => {
                patch(&mut entity, steps, *limits)?;
                operation.entity.protect.keep(before, &mut entity);
                return Ok(entity);
            }
        };
        json_patch::merge(&mut entity, given);
        let offered: Vec<(&String, Option<Value>)> = operation
            .writable
            .iter()
            .map(|name| (name, entity.get(name).cloned()))
            .collect();
        operation.entity.protect.keep(before, &mut entity);
        let Value::Object(fields) = &mut entity else {
            return Ok(entity);
        };
        for (name, value) in offered {
            match value {
                Some(value) => drop(fields.insert(name.clone(), value)),
                None => drop(fields.remove(name)),
            }
        }
        // What has to be there and may be null becomes null, where a merge would take it away.
        for name in &operation.entity.nullable {
            if given.get(name).is_some_and(Value::is_null) {
                fields.insert(name.clone(), Value::Null);
            }
        }
        // Last, since the id of an object is read-only there, as a rule.
        operation.references.put(given, &mut entity);
        Ok(entity)
    }
}
