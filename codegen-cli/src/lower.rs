//! From a document to [what it says](crate::model): types and operations.
//!
//! ```text
//! tree -> schema (one schema, `allOf` merged) -> types
//!      -> operation (parameters, body, responses)  -> Api
//! ```
//!
//! Each piece is read by `openapiv3` without what stands inside it, so that time and stack do not depend on how deep things are nested.
//! What can't be read makes one operation unsupported, not the document.

mod boxes;
mod operation;
mod place;
mod schema;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{HashMap, HashSet};

use openapiv3::SecurityScheme as Scheme;

use self::{place::Place, types::Types};
use crate::{
    diagnostic::Diagnostics,
    model::{Api, Decision, Operation, SecurityScheme},
    spec::{Node, Object, Spec, UNSUPPORTED},
};

/// The methods of HTTP that a path can have, in the order in which documents are read.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Says what a document means.
///
/// ```
/// use memgen_cli::{diagnostic::Diagnostics, lower, spec};
///
/// let text = "openapi: 3.1.0\ninfo: {title: Pets, version: '1'}\npaths: {/pets: {get: {responses: {'204': {description: None}}}}}\n";
/// let mut diagnostics = Diagnostics::default();
/// let (_, spec) = spec::read_bytes("pets.yaml", text.as_bytes(), &mut diagnostics);
/// let api = lower::lower(&mut spec.unwrap(), &mut diagnostics);
/// assert_eq!(api.operations[0].id, "getPets");
/// ```
///
/// The document goes over from `spec` to the result: there is one of it.
pub fn lower(spec: &mut Spec, diagnostics: &mut Diagnostics) -> Api {
    let tree = &spec.tree;
    let mut types = Types::new(tree, &spec.document, diagnostics);
    let text = |pointer: &str| text(tree, pointer).unwrap_or_default();
    let mut operations = Vec::new();
    let paths = tree.member("paths").and_then(Node::as_object);
    for (path, item) in paths.into_iter().flatten() {
        if path.starts_with("x-") {
            continue;
        }
        let item = Place::root(tree).at("paths").at(path).of(&item.node);
        for method in METHODS {
            if item.node.member(method).is_some() {
                operations.push(operation::lower(&mut types, &item, path, method));
            }
        }
    }
    // Components that no operation uses are types all the same: handlers may want them.
    let schemas = tree
        .pointer("/components/schemas")
        .and_then(Node::as_object);
    for name in schemas.into_iter().flat_map(Object::keys) {
        types.component(&format!(
            "#/components/schemas/{}",
            crate::spec::escape(name)
        ));
    }
    if let Some(asked) = Place::root(tree).member("security") {
        tell_of_unknown_schemes(&mut types, &asked);
    }
    let security = security(&types);
    let mut api = Api {
        title: text("/info/title"),
        version: text("/info/version"),
        description: text("/info/description"),
        types: types.finish(),
        operations,
        resources: Vec::new(),
        security,
        document: std::mem::take(&mut spec.document),
    };
    boxes::break_circles(&mut api.types);
    name_operations(&mut api, diagnostics);
    route_once(&mut api.operations, diagnostics);
    for operation in &api.operations {
        let node = api.document.pointer_mut(&operation.pointer);
        if let Some(node) = node.and_then(|node| node.as_object_mut()) {
            node.insert("operationId".into(), operation.id.clone().into());
            node.remove(UNSUPPORTED);
            if operation.decision == Decision::Unsupported {
                let why = serde_json::json!({ "unsupported": operation.reason });
                node.insert("x-memgen".into(), why);
            }
        }
    }
    api
}

fn text(tree: &Node, pointer: &str) -> Option<String> {
    Some(tree.pointer(pointer)?.as_str()?.to_owned())
}

/// Gives each operation an id that no other one has.
fn name_operations(api: &mut Api, diagnostics: &mut Diagnostics) {
    let mut taken: HashMap<String, usize> = HashMap::new();
    for operation in &api.operations {
        *taken.entry(operation.id.clone()).or_default() += 1;
    }
    let mut seen = HashSet::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for operation in &mut api.operations {
        if !operation.id.is_empty() && seen.insert(operation.id.clone()) {
            continue;
        }
        let made = operation::made_id(&operation.method, &operation.path);
        let mut id = made.clone();
        let number = numbers.entry(made.clone()).or_insert(1);
        while taken.contains_key(&id) || seen.contains(&id) {
            *number += 1;
            id = format!("{made}{number}");
        }
        seen.insert(id.clone());
        if !operation.id.is_empty() {
            diagnostics.warning(
                operation.span,
                format!("#{}/operationId", operation.pointer),
                format!(
                    "another operation is called `{}`, too; this one becomes `{id}`",
                    operation.id
                ),
            );
        }
        operation.id = id;
    }
}

/// Paths that differ only in the names of their parameters are one route: of two operations with one method, the first is served.
fn route_once(operations: &mut [Operation], diagnostics: &mut Diagnostics) {
    let mut routes: HashMap<(String, String), String> = HashMap::new();
    for operation in operations {
        let route = operation::shape(&operation.path);
        let key = (operation.method.clone(), route);
        match routes.get(&key) {
            None => {
                routes.insert(key, operation.path.clone());
            }
            Some(first) => {
                let reason = format!(
                    "`{first}` is the same route, and comes first: the names of parameters tell no requests apart"
                );
                diagnostics.warning(
                    operation.span,
                    format!("#{}", operation.pointer),
                    format!("this operation can't be reached: {reason}"),
                );
                operation.decision = Decision::Unsupported;
                operation.reason = reason;
            }
        }
    }
}

/// Nothing opens what asks for a scheme that the document does not have.
fn tell_of_unknown_schemes(types: &mut Types<'_, '_>, asked: &Place<'_>) {
    let known = types.tree.pointer("/components/securitySchemes");
    let schemes = asked
        .items()
        .flat_map(|requirement| requirement.members().collect::<Vec<_>>());
    for (name, place) in schemes {
        if known.and_then(|known| known.member(name)).is_some() {
            continue;
        }
        types.diagnostics.warning(
            place.node.span,
            format!("#{}", place.pointer),
            format!("the document has no security scheme `{name}`: what asks for it is closed"),
        );
        types
            .diagnostics
            .help("describe it in `components/securitySchemes`");
    }
}

/// The security schemes of the document.
fn security(types: &Types<'_, '_>) -> Vec<SecurityScheme> {
    let mut schemes = Vec::new();
    let section = types.tree.pointer("/components/securitySchemes");
    for name in section
        .and_then(Node::as_object)
        .into_iter()
        .flat_map(Object::keys)
    {
        let place = Place::root(types.tree)
            .at("components")
            .at("securitySchemes")
            .at(name);
        let Some(place) = types.resolve(&place) else {
            continue;
        };
        let Ok(scheme) = place.node.deserialize::<Scheme>() else {
            continue;
        };
        let (kind, doc) = match scheme {
            Scheme::APIKey { description, .. } => ("apiKey".to_owned(), description),
            Scheme::HTTP {
                scheme,
                description,
                ..
            } => (scheme.to_ascii_lowercase(), description),
            Scheme::OAuth2 { description, .. } => ("oauth2".to_owned(), description),
            Scheme::OpenIDConnect { description, .. } => ("openIdConnect".to_owned(), description),
        };
        schemes.push(SecurityScheme {
            name: name.to_string(),
            kind,
            doc: doc.unwrap_or_default(),
        });
    }
    schemes
}
