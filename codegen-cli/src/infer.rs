//! Which operations work on state: schema, key and paths that form a resource, and what each operation does with it.
//!
//! ```text
//! paths -> candidates (an item path with a GET, and something that makes entities) -> resources -> a decision for each operation
//! ```
//!
//! Where it is not clear what an operation does, it is a handler: a missing function is seen at once, a wrong one is not. Each decision is written into the
//! document as `x-memgen`, which the runtime reads.

mod key;
mod list;
mod overrides;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use self::{
    key::Key,
    shape::{Found, Shape},
};
use crate::{
    diagnostic::Diagnostics,
    model::{
        Action, Api, Decision, KeyField, Operation, Place, Resource, TypeId, TypeKind, TypeRef,
    },
    spec::Spec,
};

/// How many partitions a state has if nobody says otherwise.
const PARTITIONS: u32 = 16;

/// Query parameters that change how a reply looks, and may be left aside.
const COSMETIC: [&str; 18] = [
    "pretty",
    "opt_pretty",
    "opt_fields",
    "fields",
    "expand",
    "include",
    "prettyprint",
    "format",
    "lang",
    "locale",
    "fieldmanager",
    "fieldvalidation",
    "timeoutseconds",
    "allowwatchbookmarks",
    "resourceversionmatch",
    "apikey",
    "api_key",
    "key",
];

/// Decides for all operations, and writes the decisions into the document.
pub fn infer(api: &mut Api, spec: &Spec, diagnostics: &mut Diagnostics) {
    decide(api);
    overrides::apply(api, spec, diagnostics);
}

/// What the document itself shows.
fn decide(api: &mut Api) {
    let document = std::mem::take(&mut api.document);
    let mut candidates = candidates(api, &document);
    settle(&mut candidates);
    let mut states = Map::new();
    let mut decided: Vec<(usize, Decision, String, Value)> = Vec::new();
    for index in 0..candidates.len() {
        let candidate = &candidates[index];
        let resource = api.resources.len();
        let operations = candidate.operations(api, &document, &candidates);
        // Something makes entities, and something reads them: the rest is what the candidate was taken for.
        states.insert(candidate.name.clone(), candidate.state());
        api.resources.push(candidate.resource());
        for one in operations {
            decided.push((
                one.operation,
                Decision::State {
                    resource,
                    action: one.action,
                },
                one.reason,
                one.value,
            ));
        }
    }
    api.document = document;
    for operation in &mut api.operations {
        if operation.decision == Decision::Handler {
            "no resource of the document: a function of yours".clone_into(&mut operation.reason);
        }
    }
    for (index, decision, reason, value) in decided {
        let operation = &mut api.operations[index];
        operation.decision = decision;
        operation.reason = reason;
        if let Some(written) = api.document.pointer_mut(&operation.pointer) {
            written["x-memgen"] = value;
        }
    }
    if !states.is_empty() {
        api.document["x-memgen"] = json!({ "states": states });
    }
}

/// A resource, perhaps.
struct Candidate<'d> {
    name: String,
    /// `/pets`
    collection: String,
    /// `/pets/{petId}`
    item: String,
    entity: TypeId,
    /// Where the entity's schema is.
    schema: Shape<'d>,
    key: Vec<Key>,
    /// What the server sets.
    fill: BTreeMap<String, Value>,
}

/// A decision for one operation.
struct Decided {
    operation: usize,
    action: Action,
    reason: String,
    value: Value,
}

/// All item paths whose entities something reads and something makes.
fn candidates<'d>(api: &Api, document: &'d Value) -> Vec<Candidate<'d>> {
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
        if read.method != "get" || read.decision != Decision::Handler {
            continue;
        }
        let Some((_, Found { shape, .. })) = shape::reply(document, read, None) else {
            continue;
        };
        let Some(entity) = types.get(format!("#{}", shape.pointer).as_str()) else {
            continue;
        };
        let on = |path: &str, method: &str| {
            let same = |operation: &&Operation| {
                operation.method == method
                    && same_route(&operation.path, path)
                    && operation.decision == Decision::Handler
            };
            api.operations.iter().find(same)
        };
        let made = [
            on(collection, "post"),
            on(&read.path, "put"),
            on(collection, "put"),
        ];
        let makes = |operation: &Operation| {
            shape::request(document, operation, &shape).is_some()
                && (shape::reply(document, operation, Some(&shape)).is_some()
                    || shape::is_bodiless(operation)
                    || operation.method == "put")
        };
        if !made.into_iter().flatten().any(makes) {
            continue;
        }
        let Some(key) = key::of(read, &shape) else {
            continue;
        };
        candidates.push(Candidate {
            name: name(collection),
            collection: collection.to_owned(),
            item: read.path.clone(),
            entity: *entity,
            fill: fill(&shape),
            schema: shape,
            key,
        });
    }
    // Without a key in the entity only `PUT` by a client's own key makes sense: nobody would learn another one.
    candidates.retain(|candidate| {
        let last = candidate.key.last();
        last.is_some_and(|key| key.at.is_some())
            || api.operations.iter().any(|operation| {
                operation.method == "put" && same_route(&operation.path, &candidate.item)
            })
    });
    candidates
}

/// Leaves one of several candidates for the same entities, and gives each a name of its own.
fn settle(candidates: &mut Vec<Candidate<'_>>) {
    let mut best: HashMap<(String, String), (usize, usize)> = HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        // The same schema under the same word: `/subscriptions/{id}` and `/customers/{customer}/subscriptions/{id}`. The shorter path has them all.
        let same = (candidate.schema.pointer.clone(), candidate.name.clone());
        let length = candidate.key.len();
        let entry = best.entry(same).or_insert((index, length));
        if length < entry.1 {
            *entry = (index, length);
        }
    }
    let kept: BTreeSet<usize> = best.values().map(|(index, _)| *index).collect();
    let mut index = 0;
    candidates.retain(|_| {
        index += 1;
        kept.contains(&(index - 1))
    });
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for candidate in candidates.iter_mut() {
        let mut name = candidate.name.clone();
        let literals = candidate
            .collection
            .split('/')
            .filter(|it| !it.is_empty() && !it.starts_with('{'));
        let before: Vec<&str> = literals.collect();
        let mut parents = before.iter().rev().skip(1);
        while taken.contains(&name) {
            name = match parents.next() {
                Some(parent) => format!(
                    "{}_{name}",
                    self::singular(&crate::names::value_name(parent))
                ),
                None => format!("{name}_2"),
            };
        }
        taken.insert(name.clone());
        candidate.name = name;
    }
}

impl Candidate<'_> {
    fn resource(&self) -> Resource {
        let key = self.key.iter().map(|key| KeyField {
            parameter: key.parameter.clone(),
            ty: match key.kind {
                "int32" => TypeRef::I32,
                "int64" => TypeRef::I64,
                "uint32" => TypeRef::U32,
                "uint64" => TypeRef::U64,
                "uuid" => TypeRef::Uuid,
                _ => TypeRef::String,
            },
            at: key.at.clone(),
        });
        Resource {
            words: self.name.clone(),
            doc: self
                .schema
                .text("description")
                .unwrap_or_default()
                .to_owned(),
            collection: self.collection.clone(),
            entity: self.entity,
            key: key.collect(),
            partition_by: 1,
            partitions: PARTITIONS,
            topic: self.name.clone(),
        }
    }

    /// As the runtime reads it, at the root of the document.
    fn state(&self) -> Value {
        let key = self.key.iter().map(|key| {
            let mut value = json!({ "parameter": key.parameter, "type": key.kind });
            if let Some(at) = &key.at {
                value["at"] = at.clone().into();
            }
            value
        });
        let mut state = json!({
            "schema": format!("#{}", self.schema.pointer),
            "topic": self.name,
            "partitions": PARTITIONS,
            "partition_by": 1,
            "key": key.collect::<Vec<_>>(),
        });
        if !self.fill.is_empty() {
            state["fill"] = json!(self.fill);
        }
        state
    }

    fn operations(&self, api: &Api, document: &Value, all: &[Candidate<'_>]) -> Vec<Decided> {
        let mut decided = Vec::new();
        for (index, operation) in api.operations.iter().enumerate() {
            if operation.decision != Decision::Handler {
                continue;
            }
            let found = if same_route(&operation.path, &self.item) {
                self.on_item(operation, document)
            } else if same_route(&operation.path, &self.collection) {
                self.on_collection(operation, document, all)
            } else if operation.method == "get" && self.is_wider_list(&operation.path) {
                list::decide(operation, document, &self.schema, &[]).map(|value| {
                    (
                        Action::List,
                        value,
                        "lists all of them, of every parent".to_owned(),
                    )
                })
            } else {
                None
            };
            let Some((action, mut value, reason)) = found else {
                continue;
            };
            let Some(aside) = aside(operation, &value) else {
                continue;
            };
            value["state"] = self.name.clone().into();
            value["action"] = word(action).into();
            if !aside.is_empty() {
                value["refuses"] = json!(aside);
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

    /// `/apis/apps/v1/deployments` beside `/apis/apps/v1/namespaces/{namespace}/deployments`.
    fn is_wider_list(&self, path: &str) -> bool {
        let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
        self.key.len() > 1 && !path.contains('{') && last(path) == last(&self.collection)
    }

    /// The key's parts as they stand in the path of an operation.
    fn from_path(&self, operation: &Operation, parts: usize) -> Vec<Value> {
        let names = placeholders(&operation.path).into_iter().take(parts);
        names
            .map(|name| json!({ "parameter": field(operation, name) }))
            .collect()
    }

    fn on_item(&self, operation: &Operation, document: &Value) -> Option<(Action, Value, String)> {
        let key = self.from_path(operation, self.key.len());
        let reply = shape::reply(document, operation, Some(&self.schema));
        let (status, pointer) = match &reply {
            Some((status, found)) => (*status, Some(found.pointer.clone())),
            None => (shape::status(operation)?, None),
        };
        let mut value = json!({ "status": status, "key": key });
        if let Some(pointer) = pointer {
            value["reply"] = pointer.into();
        }
        let name = &self.name;
        match operation.method.as_str() {
            "get" => {
                reply?;
                Some((Action::Get, value, format!("reads one {name} by its key")))
            }
            "delete" => {
                // A body that says what to delete is no plain deletion, unless it only tunes it.
                Some((Action::Delete, value, format!("removes one {name}")))
            }
            "put" | "patch" | "post" => {
                if reply.is_none() && !shape::is_bodiless(operation) {
                    return None;
                }
                let request = shape::request(document, operation, &self.schema);
                let request = match request {
                    Some(found) => found,
                    None if operation.method == "patch" => shape::patch(document, operation)?,
                    None => return None,
                };
                value["request"] = request.pointer.clone().into();
                let whole = operation.method == "put" && self.is_whole(&request.shape);
                if whole {
                    let missing =
                        if shape::declares(operation, 404) && !shape::declares(operation, 201) {
                            "404"
                        } else {
                            "create"
                        };
                    value["missing"] = missing.into();
                    // With a 201 the reply says which it was.
                    if status == 201 && shape::declares(operation, 200) {
                        value["status"] = 200.into();
                    }
                    return Some((
                        Action::Replace,
                        value,
                        format!("replaces one {name}, or makes it"),
                    ))
                    .map(|(action, value, _)| {
                        let reason = if missing == "create" {
                            format!("replaces one {name}, or makes it")
                        } else {
                            format!("replaces one {name}")
                        };
                        (action, value, reason)
                    });
                }
                Some((
                    Action::Update,
                    value,
                    format!("changes some fields of one {name}"),
                ))
            }
            _ => None,
        }
    }

    /// Whether a request's schema demands what the entity demands, but for what the path and the server give.
    fn is_whole(&self, request: &Shape<'_>) -> bool {
        if request.pointer == self.schema.pointer {
            return true;
        }
        let demanded = request.required();
        let properties = self.schema.properties();
        let given = request.properties();
        self.schema.required().iter().all(|name| {
            let read_only = properties
                .get(name)
                .is_some_and(|property| property.flag("readOnly"));
            let in_key = self
                .key
                .iter()
                .any(|key| key.at.as_deref() == Some(&format!("/{name}")));
            demanded.contains(name) || read_only || in_key || !given.contains_key(name)
        })
    }

    fn on_collection(
        &self,
        operation: &Operation,
        document: &Value,
        all: &[Candidate<'_>],
    ) -> Option<(Action, Value, String)> {
        let parents = self.key.len() - 1;
        let key = self.from_path(operation, parents);
        let name = &self.name;
        match operation.method.as_str() {
            "get" => {
                let value = list::decide(operation, document, &self.schema, &key)?;
                let of = if parents > 0 { " of one parent" } else { "" };
                Some((Action::List, value, format!("lists entities of {name}{of}")))
            }
            "post" | "put" => {
                let request = shape::request(document, operation, &self.schema)?;
                let reply = shape::reply(document, operation, Some(&self.schema));
                let (status, pointer) = match reply {
                    Some((status, found)) => (status, Some(found.pointer)),
                    None if shape::is_bodiless(operation) => (shape::status(operation)?, None),
                    None => return None,
                };
                let last = self.key.last()?;
                let at = last.at.as_deref();
                let given = at.is_some_and(|at| {
                    request
                        .shape
                        .at(at)
                        .is_some_and(|property| !property.flag("readOnly"))
                });
                let mut key = key;
                key.push(match at {
                    Some(at) if given => json!({ "body": at }),
                    _ => json!({ "server": last.kind }),
                });
                let mut value = json!({ "status": status, "key": key, "request": request.pointer });
                if let Some(pointer) = pointer {
                    value["reply"] = pointer.into();
                }
                if operation.method == "put" {
                    if !given {
                        return None;
                    }
                    let missing = if shape::declares(operation, 404) {
                        "404"
                    } else {
                        "create"
                    };
                    value["missing"] = missing.into();
                    return Some((
                        Action::Replace,
                        value,
                        format!("replaces the {name} whose key is in the body"),
                    ));
                }
                if let Some(parent) = self.parent(all) {
                    value["parent"] = json!({ "state": parent.name });
                }
                let by = if given {
                    "with the key in its body, or a new one"
                } else {
                    "with a key of the server's"
                };
                Some((Action::Create, value, format!("makes a {name} {by}")))
            }
            _ => None,
        }
    }

    /// The resource of which this one is a part.
    fn parent<'a, 'd>(&self, all: &'a [Candidate<'d>]) -> Option<&'a Candidate<'d>> {
        let (before, _) = self.collection.rsplit_once('/')?;
        all.iter().find(|other| {
            same_route(&other.item, before)
                && other.key.len() + 1 == self.key.len()
                && other
                    .key
                    .iter()
                    .zip(&self.key)
                    .all(|(one, other)| one.kind == other.kind)
        })
    }
}

/// The query parameters that the state can't serve, if they may be left out. `None` if one must be given.
fn aside(operation: &Operation, value: &Value) -> Option<Vec<String>> {
    let mut aside = Vec::new();
    let list = value.get("list").and_then(Value::as_object);
    let known: BTreeSet<&str> = list
        .into_iter()
        .flatten()
        .flat_map(|(role, value)| match value {
            Value::String(name) if !matches!(role.as_str(), "next" | "total" | "more") => {
                vec![name.as_str()]
            }
            Value::Object(filters) => filters.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        })
        .collect();
    for parameter in operation
        .parameters
        .iter()
        .filter(|it| it.place == Place::Query)
    {
        if known.contains(parameter.field.as_str()) {
            continue;
        }
        if parameter.required {
            return None;
        }
        if !COSMETIC.contains(&parameter.name.to_ascii_lowercase().as_str()) {
            aside.push(parameter.field.clone());
        }
    }
    Some(aside)
}

/// What the server sets: times, where requests don't.
fn fill(entity: &Shape<'_>) -> BTreeMap<String, Value> {
    let created = [
        "createdat",
        "created",
        "creationdate",
        "datecreated",
        "createdon",
        "createdtime",
        "creationtime",
        "createddate",
    ];
    let updated = [
        "updatedat",
        "updated",
        "modifiedat",
        "lastmodified",
        "dateupdated",
        "updatedon",
        "lastupdated",
        "modified",
        "updatedtime",
    ];
    let required = entity.required();
    let mut fill = BTreeMap::new();
    for (name, property) in entity.properties() {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        let time = matches!(
            property.text("format"),
            Some("date-time" | "date" | "unix-time")
        ) || property.types().contains(&"integer");
        let ours = property.flag("readOnly") || required.contains(&name);
        if !time || !ours {
            continue;
        }
        if created.contains(&plain.as_str()) {
            fill.insert(shape::at(&name), "created".into());
        } else if updated.contains(&plain.as_str()) {
            fill.insert(shape::at(&name), "updated".into());
        }
    }
    fill
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::List => "list",
        Action::Get => "get",
        Action::Replace => "replace",
        Action::Update => "update",
        Action::Delete => "delete",
    }
}

/// The collection and the parameter of an item path.
fn item_of(path: &str) -> Option<(&str, &str)> {
    let (collection, last) = path.rsplit_once('/')?;
    let name = last.strip_prefix('{')?.strip_suffix('}')?;
    let plain = !name.contains(['{', '}']) && !collection.is_empty() && !collection.ends_with('}');
    // Segments with more than one placeholder are no parts of a key.
    let whole = collection.split('/').all(|segment| {
        !segment.contains('{')
            || (segment.starts_with('{')
                && segment.ends_with('}')
                && segment.matches('{').count() == 1)
    });
    (plain && whole).then_some((collection, name))
}

/// The names between braces, in order.
fn placeholders(path: &str) -> Vec<&str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

/// Whether paths differ in nothing but the names of their parameters.
fn same_route(one: &str, other: &str) -> bool {
    let blank = |path: &str| -> Vec<String> {
        let segments = path.split('/');
        segments
            .map(|segment| {
                if segment.starts_with('{') {
                    "{}".to_owned()
                } else {
                    segment.to_owned()
                }
            })
            .collect()
    };
    blank(one) == blank(other)
}

/// The name of a path parameter among all decoded parameters.
fn field<'a>(operation: &'a Operation, name: &'a str) -> &'a str {
    operation
        .parameters
        .iter()
        .find(|parameter| parameter.place == Place::Path && parameter.name == name)
        .map_or(name, |parameter| parameter.field.as_str())
}

/// The name of a resource by its collection.
fn name(collection: &str) -> String {
    let last = collection
        .rsplit('/')
        .find(|segment| !segment.is_empty() && !segment.starts_with('{'));
    singular(&crate::names::value_name(last.unwrap_or("entity")))
}

/// One of them.
fn singular(plural: &str) -> String {
    let rules = [
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("statuses", "status"),
        ("uses", "us"),
    ];
    for (end, one) in rules {
        if let Some(stem) = plural.strip_suffix(end).filter(|stem| stem.len() > 1) {
            return format!("{stem}{one}");
        }
    }
    let keep = plural.ends_with("ss") || plural.ends_with("us") || plural.ends_with("is");
    match plural.strip_suffix('s') {
        Some(stem) if !keep && stem.len() > 1 => stem.to_owned(),
        _ => plural.to_owned(),
    }
}
