//! Whether a service can check texts by a pattern. It is asked before there is a service: the runtime leaves aside what its engine does not take.

use std::collections::HashMap;

use serde_json::json;

use super::node::{Node, Text};
use crate::diagnostic::Diagnostics;

/// The patterns that were looked at. A document has the same one at many places.
#[derive(Debug, Default)]
pub(super) struct Patterns(HashMap<Text, bool>);

impl Patterns {
    /// Warns of patterns in a schema that nothing will be checked by.
    pub(super) fn check(&mut self, schema: &Node, pointer: &str, diagnostics: &mut Diagnostics) {
        let mut warn = |pattern: &str, span, keyword: &str| {
            diagnostics.warning(
                span,
                format!("#{pointer}/{keyword}"),
                format!("the pattern `{pattern}` can't be used: nothing is checked by it"),
            );
            diagnostics.help(
                "it is no regular expression of ECMA 262, or too large; the service leaves it aside",
            );
        };
        if let Some(node) = schema.member("pattern")
            && let Some(pattern) = node.as_str()
            && !self.is_usable(pattern)
        {
            warn(pattern, node.span, "pattern");
        }
        let named = schema.member("patternProperties").and_then(Node::as_object);
        for (pattern, member) in named.into_iter().flatten() {
            if !self.is_usable(pattern) {
                warn(pattern, member.name, "patternProperties");
            }
        }
    }

    fn is_usable(&mut self, pattern: &str) -> bool {
        if let Some(known) = self.0.get(pattern) {
            return *known;
        }
        // By the crate that the runtime checks with, and asked as the runtime asks it.
        let usable = jsonschema::options()
            .build(&json!({ "pattern": pattern }))
            .is_ok();
        self.0.insert(pattern.into(), usable);
        usable
    }
}
