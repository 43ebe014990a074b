//! Which operations work on state: schema, key and paths that form a resource, and what each operation does with it.
//!
//! ```text
//! paths -> candidates (an item path with a GET, and something that makes entities) -> resources -> a decision for each operation
//! ```
//!
//! Where it is not clear what an operation does, it is a handler: a missing function is seen at once, a wrong one is not. Each decision is written into the
//! document as `x-memgen`, which the runtime reads.

mod action;
mod candidate;
mod headers;
mod key;
mod list;
mod path;
mod routes;
mod shape;
#[cfg(test)]
mod tests;
mod wishes;

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
};

use serde_json::{Map, Value, json};

use self::{
    action::{Useless, useless, word},
    candidate::{Candidate, fill, settle},
    path::{blank, item_of, name},
    routes::Routes,
    shape::Found,
    wishes::Wish,
};
use crate::{
    diagnostic::Diagnostics,
    model::{Action, Api, Decision, Operation, TypeId, TypeKind},
    spec::Spec,
};

/// Decides for all operations, and writes the decisions into the document.
pub fn infer(api: &mut Api, spec: &Spec, diagnostics: &mut Diagnostics) {
    wishes::unknown(spec, diagnostics);
    let document = std::mem::take(&mut api.document);
    let wishes = wishes::of_operations(api, &document, spec, diagnostics);
    let mut look = Look {
        routes: Routes::new(api, &wishes),
        api: &*api,
        document: &document,
        wishes: &wishes,
        spec,
        diagnostics: &mut *diagnostics,
    };
    let mut candidates = look.candidates();
    settle(&mut candidates);
    look.check_names(&candidates);
    let mut states = Map::new();
    let mut decided: Vec<(usize, Decision, String, Value)> = Vec::new();
    let mut resources = Vec::new();
    let mut by_item: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        by_item
            .entry(blank(&candidate.item))
            .or_default()
            .push(index);
    }
    for candidate in &candidates {
        let resource = resources.len();
        let parent = candidate.parent(&candidates, &by_item);
        states.insert(candidate.name.clone(), candidate.state());
        resources.push(candidate.resource());
        for one in look.operations(candidate, parent) {
            let decision = Decision::State {
                resource,
                action: one.action,
            };
            decided.push((one.operation, decision, one.reason, one.value));
        }
    }
    api.document = document;
    api.resources = resources;
    for operation in &mut api.operations {
        if operation.decision == Decision::Handler {
            let asked = wishes.get(&operation.id).is_some_and(|wish| wish.handler);
            let reason = if asked {
                "the document wants a function"
            } else {
                "works on no resource that can be seen: a function of yours"
            };
            reason.clone_into(&mut operation.reason);
        }
    }
    for (index, decision, reason, value) in decided {
        let operation = &mut api.operations[index];
        operation.decision = decision;
        operation.reason = reason;
        for header in headers::unsent(&operation.responses) {
            let name = &header.name;
            let _ = write!(operation.reason, "; does not send `{name}`");
            if header.required {
                diagnostics.warning(
                    operation.span,
                    format!("#{}", operation.pointer),
                    format!("the header `{name}` of its answer is not sent, since the state does not know it: a function of yours can (`x-memgen-action: handler`)"),
                );
            }
        }
        if let Some(written) = api.document.pointer_mut(&operation.pointer) {
            written["x-memgen"] = value;
        }
    }
    if !states.is_empty() {
        api.document["x-memgen"] = json!({ "states": states });
    }
}

/// What is looked at.
struct Look<'a, 'd> {
    routes: Routes,
    api: &'a Api,
    document: &'d Value,
    wishes: &'a HashMap<String, Wish>,
    spec: &'a Spec,
    diagnostics: &'a mut Diagnostics,
}

/// A decision for one operation.
struct Decided {
    operation: usize,
    action: Action,
    reason: String,
    value: Value,
}

impl<'d> Look<'_, 'd> {
    fn wish(&self, operation: &Operation) -> Wish {
        self.wishes.get(&operation.id).cloned().unwrap_or_default()
    }

    /// The operation of a method at a path. Also one that the document wants a function for: it may make entities all the same.
    fn on(&self, path: &str, method: &str) -> Option<&Operation> {
        self.at(path)
            .find(|operation| operation.method == method && operation.decision == Decision::Handler)
    }

    /// The operations on a route.
    fn at(&self, path: &str) -> impl Iterator<Item = &Operation> {
        let found = self.routes.on.get(&blank(path)).into_iter().flatten();
        found.map(|index| &self.api.operations[*index])
    }

    /// All item paths whose entities something reads and something makes.
    fn candidates(&mut self) -> Vec<Candidate<'d>> {
        let (api, document) = (self.api, self.document);
        let types: HashMap<&str, TypeId> = api
            .types
            .iter()
            .enumerate()
            .filter(|(_, def)| matches!(def.kind, TypeKind::Struct(_)) && !def.pointer.is_empty())
            .map(|(index, def)| (def.pointer.as_str(), TypeId(index)))
            .collect();
        let mut candidates: Vec<Candidate<'d>> = Vec::new();
        for read in &api.operations {
            let Some((collection, _)) = item_of(&read.path) else {
                continue;
            };
            if read.method != "get" || read.decision != Decision::Handler || self.wish(read).handler
            {
                continue;
            }
            // Where what is read may be something else as well, what is made is what is kept.
            let mut of_made = None;
            if shape::has_kinds(document, read) {
                let post = self.on(collection, "post");
                let post = post.filter(|post| !shape::has_kinds(document, post));
                let made = post.and_then(|post| shape::reply(document, post, None));
                of_made = made.map(|(_, found)| found.shape);
                if of_made.is_none() {
                    continue;
                }
            }
            let Some((_, Found { shape, .. })) = shape::reply(document, read, of_made.as_ref())
            else {
                continue;
            };
            let Some(entity) = types.get(format!("#{}", shape.pointer).as_str()) else {
                continue;
            };
            let made = [
                self.on(collection, "post"),
                self.on(&read.path, "put"),
                self.on(collection, "put"),
            ];
            let makes = |operation: &Operation| {
                // A `PUT` that answers 404 changes what somebody else made.
                let changes = operation.method == "put" && shape::declares(operation, 404);
                // A `PUT` that makes an entity holds most of it.
                let holds =
                    |found: &Found<'_>| operation.method != "put" || found.shape.is_most_of(&shape);
                !changes
                    && shape::request(document, operation, &shape)
                        .is_some_and(|found| holds(&found))
                    && (shape::reply(document, operation, Some(&shape)).is_some()
                        || shape::is_bodiless(operation))
            };
            let forced = self
                .at(collection)
                .any(|operation| self.wish(operation).action == Some(Action::Create));
            if !forced && !made.into_iter().flatten().any(makes) {
                continue;
            }
            let upserts = self.on(&read.path, "put").is_some();
            let wish = wishes::of_schema(&shape, document, self.spec, self.diagnostics);
            let (Some(wish), Some(mut key)) = (wish, key::of(read, &shape)) else {
                continue;
            };
            if let (Some(at), Some(last)) = (&wish.key, key.last_mut()) {
                last.at = Some(at.clone());
            }
            // Without a key in the entity only `PUT` by a client's own key makes sense: nobody would learn another one.
            if !upserts && key.last().is_none_or(|last| last.at.is_none()) {
                continue;
            }
            candidates.push(Candidate {
                name: wish.name.clone().unwrap_or_else(|| name(collection)),
                collection: collection.to_owned(),
                item: read.path.clone(),
                entity: *entity,
                fill: fill(&shape),
                schema: shape,
                key,
                wish,
            });
        }
        candidates
    }

    /// Wishes for states that there are not.
    fn check_names(&mut self, candidates: &[Candidate<'_>]) {
        let known: BTreeSet<&str> = candidates.iter().map(|it| it.name.as_str()).collect();
        for operation in &self.api.operations {
            let Some(state) = self.wish(operation).state else {
                continue;
            };
            if !known.contains(state.as_str()) {
                let known: Vec<&str> = candidates.iter().map(|it| it.name.as_str()).collect();
                self.diagnostics.error(
                    operation.span,
                    format!("#{}/{}", operation.pointer, wishes::STATE),
                    format!("there is no state `{state}`, only {}", known.join(", ")),
                );
            }
        }
    }

    fn operations(
        &self,
        candidate: &Candidate<'_>,
        parent: Option<&Candidate<'_>>,
    ) -> Vec<Decided> {
        let document = self.document;
        let mut decided = Vec::new();
        for index in self.routes.of(candidate) {
            let operation = &self.api.operations[index];
            let wish = self.wish(operation);
            if operation.decision != Decision::Handler || wish.handler {
                continue;
            }
            let found = match &wish.state {
                Some(state) if *state != candidate.name => continue,
                Some(_) => wish
                    .action
                    .and_then(|action| candidate.act(action, operation, document, parent)),
                None => candidate.action(operation).and_then(|action| {
                    // What is wished goes before what it looks like.
                    let found = match wish.action {
                        Some(action) => Some(action),
                        None => candidate.refined(action, operation, document),
                    };
                    candidate.act(found?, operation, document, parent)
                }),
            };
            let Some((action, mut value, mut reason)) = found else {
                continue;
            };
            let Some(Useless { refused, idle }) = useless(operation, action, &value) else {
                continue;
            };
            value["state"] = candidate.name.clone().into();
            value["action"] = word(action).into();
            if !refused.is_empty() {
                value["refuses"] = json!(refused);
            }
            if !idle.is_empty() {
                let _ = write!(reason, ", whatever page is asked for ({})", idle.join(", "));
            }
            decided.push(Decided {
                operation: index,
                action,
                reason,
                value,
            });
        }
        decided
    }
}
