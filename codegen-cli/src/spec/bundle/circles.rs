//! Components that are references to one another in a circle.

use std::collections::HashSet;

use indexmap::IndexSet;

use super::{
    super::{
        grammar::Kind,
        node::{Node, escape, unescape},
        object::Object,
    },
    Bundler, empty,
    reference::pure_reference,
};

impl Bundler<'_> {
    /// Components that are references to one another in a circle hold nothing.
    pub(super) fn break_cycles(&mut self, bundled: &mut Node) {
        let mut circles = Vec::new();
        let mut done: HashSet<String> = HashSet::new();
        for (section, _) in Kind::Components.names() {
            let path = format!("/components/{section}");
            for name in bundled
                .pointer(&path)
                .and_then(Node::as_object)
                .into_iter()
                .flat_map(Object::keys)
            {
                // From here on to what was looked at before, or to what was passed on this way.
                let mut way: IndexSet<String> = IndexSet::new();
                let mut next = Some(format!("{path}/{}", escape(name)));
                while let Some(at) = next.filter(|at| !done.contains(at)) {
                    let reference = bundled.pointer(&at).and_then(pure_reference);
                    next = reference.map(|it| it.trim_start_matches('#').to_owned());
                    let (place, new) = way.insert_full(at);
                    if !new {
                        circles.extend(way.iter().skip(place).cloned());
                        break;
                    }
                }
                done.extend(way);
            }
        }
        for pointer in circles {
            let Some((section, name)) = pointer.rsplit_once('/') else {
                continue;
            };
            let name = unescape(name);
            let span = bundled.pointer(&pointer).map(|node| node.span);
            let span = span.unwrap_or_default();
            self.leave_out(
                span,
                &pointer,
                format!("`{name}` is a reference that leads back to itself"),
            );
            if let Some(section) = bundled.pointer_mut(section) {
                section.set(&name, empty(span));
            }
        }
    }
}
