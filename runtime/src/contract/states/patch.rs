//! JSON Patch (RFC 6902) within bounds: steps that copy a value into itself double it each time.

use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;

use crate::problem::Problem;

/// What a patched entity may come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PatchLimits {
    pub(crate) bytes_max: usize,
    pub(crate) depth_max: usize,
}

/// The entity after all steps.
///
/// # Errors
/// 422 for a patch that is none or does not fit, 409 if a `test` fails, 413 if the entity grows too much.
pub(crate) fn patch(entity: &mut Value, steps: &Value, limits: PatchLimits) -> Result<(), Problem> {
    let steps: Vec<PatchOperation> = serde_json::from_value(steps.clone())
        .map_err(|error| Problem::invalid(format!("the body is no JSON Patch: {error}")))?;
    for (index, step) in steps.iter().enumerate() {
        json_patch::patch(entity, std::slice::from_ref(step)).map_err(|error| {
            let detail = format!("step {index} of the patch: {error}");
            match error.kind {
                PatchErrorKind::TestFailed => Problem::conflict(detail),
                _ => {
                    Problem::invalid(detail).with_error(format!("/{index}"), error.kind.to_string())
                }
            }
        })?;
        if grows(step) && !fits(entity, &mut { limits.bytes_max }, limits.depth_max) {
            return Err(Problem::content_too_large(limits.bytes_max as u64));
        }
    }
    Ok(())
}

fn grows(step: &PatchOperation) -> bool {
    !matches!(step, PatchOperation::Remove(_) | PatchOperation::Test(_))
}

/// Whether a value is at most so deep and so long.
fn fits(value: &Value, bytes_left: &mut usize, depth_left: usize) -> bool {
    let mut take = |bytes: usize| match bytes_left.checked_sub(bytes) {
        Some(left) => {
            *bytes_left = left;
            true
        }
        None => false,
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => take(1),
        Value::String(text) => take(text.len() + 2),
        Value::Array(items) => {
            take(2)
                && depth_left > 0
                && items
                    .iter()
                    .all(|item| fits(item, bytes_left, depth_left - 1))
        }
        Value::Object(fields) => {
            take(2)
                && depth_left > 0
                && fields.iter().all(|(name, field)| {
                    match bytes_left.checked_sub(name.len() + 3) {
                        Some(left) => *bytes_left = left,
                        None => return false,
                    }
                    fits(field, bytes_left, depth_left - 1)
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: PatchLimits = PatchLimits {
        bytes_max: 1000,
        depth_max: 8,
    };

    #[test]
    fn steps() {
        for (steps, expected) in [
            (json!([]), Ok(json!({"a": 1}))),
            (
                json!([{"op": "add", "path": "/b", "value": 2}]),
                Ok(json!({"a": 1, "b": 2})),
            ),
            (
                json!([{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/a"}]),
                Ok(json!({})),
            ),
            (json!([{"op": "test", "path": "/a", "value": 2}]), Err(409)),
            (json!([{"op": "remove", "path": "/b"}]), Err(422)),
            (json!({"a": 1}), Err(422)),
            (json!([{"op": "jump"}]), Err(422)),
            (
                json!(vec![json!({"op": "copy", "from": "", "path": "/b"}); 100]),
                Err(413),
            ),
            (
                json!([{"op": "add", "path": "/b", "value": "x".repeat(2000)}]),
                Err(413),
            ),
        ] {
            let mut entity = json!({"a": 1});
            let outcome = patch(&mut entity, &steps, LIMITS);
            let outcome = outcome
                .map(|()| entity)
                .map_err(|problem| problem.status().as_u16());
            assert_eq!(outcome, expected, "{steps}");
        }
    }
}
