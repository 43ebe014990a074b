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
mod shape;
#[cfg(test)]
mod tests;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use self::{
    key::Key,
    shape::{Found, Shape},
    wishes::{SchemaWish, Wish},
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
    wishes::unknown(spec, diagnostics);
    let document = std::mem::take(&mut api.document);
    let wishes = wishes::of_operations(api, &document, spec, diagnostics);
    let mut look = Look {
        routes: Routes::new(api, &wishes),
        api,
        document: &document,
        wishes: &wishes,
        spec,
        diagnostics,
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
        if let Some(written) = api.document.pointer_mut(&operation.pointer) {
            written["x-memgen"] = value;
        }
    }
    if !states.is_empty() {
        api.document["x-memgen"] = json!({ "states": states });
    }
}

/// Where to look for operations: a document may have a hundred thousand.
struct Routes {
    /// Those on a route.
    on: HashMap<String, Vec<usize>>,
    /// Those on paths without parameters, by the last segment.
    ending: HashMap<String, Vec<usize>>,
    /// Those that are to work on a state, by its name.
    wished: HashMap<String, Vec<usize>>,
}

impl Routes {
    fn new(api: &Api, wishes: &HashMap<String, Wish>) -> Self {
        let mut routes = Self {
            on: HashMap::new(),
            ending: HashMap::new(),
            wished: HashMap::new(),
        };
        for (index, operation) in api.operations.iter().enumerate() {
            let path = &operation.path;
            routes.on.entry(blank(path)).or_default().push(index);
            if !path.contains('{') {
                let last = last(path).to_owned();
                routes.ending.entry(last).or_default().push(index);
            }
            if let Some(state) = wishes.get(&operation.id).and_then(|it| it.state.clone()) {
                routes.wished.entry(state).or_default().push(index);
            }
        }
        routes
    }

    /// The operations that may have to do with a resource, in the order of the document.
    fn of(&self, candidate: &Candidate<'_>) -> BTreeSet<usize> {
        let wider = (candidate.key.len() > 1).then(|| self.ending.get(last(&candidate.collection)));
        [
            self.on.get(&blank(&candidate.item)),
            self.on.get(&blank(&candidate.collection)),
            self.wished.get(&candidate.name),
            wider.flatten(),
        ]
        .into_iter()
        .flatten()
        .flatten()
        .copied()
        .collect()
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
    wish: SchemaWish,
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
            let Some((action, mut value, reason)) = found else {
                continue;
            };
            let Some(refuses) = refused(operation, &value) else {
                continue;
            };
            value["state"] = candidate.name.clone().into();
            value["action"] = word(action).into();
            if !refuses.is_empty() {
                value["refuses"] = json!(refuses);
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
            partition_by: self.partition_by(),
            partitions: self.wish.partitions.unwrap_or(PARTITIONS),
            topic: self.topic().to_owned(),
        }
    }

    fn topic(&self) -> &str {
        self.wish.topic.as_deref().unwrap_or(&self.name)
    }

    /// How many parts of the key decide the partition: those of the outermost parent keep its parts together.
    fn partition_by(&self) -> usize {
        self.wish.partition_by.unwrap_or(1).min(self.key.len())
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
            "topic": self.topic(),
            "partitions": self.wish.partitions.unwrap_or(PARTITIONS),
            "partition_by": self.partition_by(),
            "key": key.collect::<Vec<_>>(),
        });
        if !self.fill.is_empty() {
            state["fill"] = json!(self.fill);
        }
        state
    }

    /// `/apis/apps/v1/deployments` beside `/apis/apps/v1/namespaces/{namespace}/deployments`.
    fn is_wider_list(&self, path: &str) -> bool {
        self.key.len() > 1 && !path.contains('{') && last(path) == last(&self.collection)
    }

    /// The key's parts as they stand in the path of an operation.
    fn path_key(operation: &Operation, parts: usize) -> Vec<Value> {
        let names = placeholders(&operation.path).into_iter().take(parts);
        names
            .map(|name| json!({ "parameter": field(operation, name) }))
            .collect()
    }

    /// What a method at a path usually does.
    fn action(&self, operation: &Operation) -> Option<Action> {
        let method = operation.method.as_str();
        if same_route(&operation.path, &self.item) {
            return match method {
                "get" => Some(Action::Get),
                "put" => Some(Action::Replace),
                "patch" | "post" => Some(Action::Update),
                "delete" => Some(Action::Delete),
                _ => None,
            };
        }
        if same_route(&operation.path, &self.collection) {
            return match method {
                "get" => Some(Action::List),
                "post" => Some(Action::Create),
                "put" => Some(Action::Replace),
                _ => None,
            };
        }
        (method == "get" && self.is_wider_list(&operation.path)).then_some(Action::List)
    }

    /// A `PUT` that asks for less than an entity, or says so, is an update.
    fn refined(&self, action: Action, operation: &Operation, document: &Value) -> Option<Action> {
        if action != Action::Replace {
            return Some(action);
        }
        let request = shape::request(document, operation, &self.schema)?;
        let says = operation.description.to_lowercase();
        let partial = [
            "partial",
            "only the fields",
            "unspecified fields",
            "fields that are not",
            "fields you want to",
        ];
        if partial.iter().any(|words| says.contains(words)) || !self.is_whole(&request.shape) {
            return Some(Action::Update);
        }
        Some(Action::Replace)
    }

    /// How an operation does this, if it can: the decision and why.
    fn act(
        &self,
        action: Action,
        operation: &Operation,
        document: &Value,
        parent: Option<&Candidate<'_>>,
    ) -> Option<(Action, Value, String)> {
        let name = &self.name;
        let in_path = placeholders(&operation.path).len();
        if action == Action::List {
            let key = Self::path_key(operation, self.key.len() - 1);
            let value = list::decide(operation, document, &self.schema, &key)?;
            let reason = match (self.key.len(), key.len()) {
                (1, _) => format!("lists all of `{name}`"),
                (_, 0) => format!("lists all of `{name}`, of every parent"),
                _ => format!("lists `{name}` of one parent"),
            };
            return Some((action, value, reason));
        }
        let reply = shape::reply(document, operation, Some(&self.schema));
        let (status, pointer) = match &reply {
            Some((status, found)) => (*status, Some(found.pointer.clone())),
            // What a deletion says besides is what its schema asks for at least.
            None if shape::is_bodiless(operation) || action == Action::Delete => {
                (shape::status(operation), None)
            }
            None => return None,
        };
        let mut value = json!({ "status": status });
        if let Some(pointer) = pointer {
            value["reply"] = pointer.into();
        }
        let mut key = Self::path_key(operation, self.key.len());
        let request = match action {
            Action::Create | Action::Replace | Action::Update => {
                let found = shape::request(document, operation, &self.schema);
                let found = found.or_else(|| {
                    let patch = operation.method == "patch";
                    patch.then(|| shape::patch(document, operation)).flatten()
                })?;
                value["request"] = found.pointer.clone().into();
                Some(found.shape)
            }
            Action::Get | Action::Delete | Action::List => None,
        };
        let last = self.key.last()?;
        let in_body = last.at.as_deref().filter(|at| {
            let property = request.as_ref().and_then(|request| request.at(at));
            property.is_some_and(|property| !property.flag("readOnly"))
        });
        if action == Action::Create {
            key.truncate(self.key.len() - 1);
        }
        if key.len() + 1 == self.key.len() {
            key.push(match (in_body, action) {
                (Some(at), Action::Create | Action::Replace | Action::Update) => {
                    json!({ "body": at })
                }
                (None, Action::Create) => json!({ "server": last.kind }),
                _ => return None,
            });
        }
        if key.len() != self.key.len() || in_path > self.key.len() {
            return None;
        }
        value["key"] = key.into();
        let reason = match action {
            Action::Create => {
                if let Some(parent) = parent {
                    value["parent"] = json!({ "state": parent.name });
                }
                match in_body {
                    Some(_) => {
                        format!("makes one of `{name}`, with the key in its body or else a new one")
                    }
                    None => format!("makes one of `{name}`, with a key of the server's"),
                }
            }
            Action::Get => {
                reply?;
                format!("reads one of `{name}` by its key")
            }
            Action::Delete => format!("removes one of `{name}`"),
            Action::Update => format!("changes some fields of one of `{name}`"),
            Action::Replace => {
                let must_exist =
                    shape::declares(operation, 404) && !shape::declares(operation, 201);
                value["missing"] = if must_exist { "404" } else { "create" }.into();
                // With a 201 the reply says which it was.
                if status == 201 && shape::declares(operation, 200) {
                    value["status"] = 200.into();
                }
                if must_exist {
                    format!("replaces one of `{name}`")
                } else {
                    format!("replaces one of `{name}`, or makes it")
                }
            }
            Action::List => return None,
        };
        Some((action, value, reason))
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

    /// The resource of which this one is a part.
    fn parent<'a, 'd>(
        &self,
        all: &'a [Candidate<'d>],
        by_item: &HashMap<String, Vec<usize>>,
    ) -> Option<&'a Candidate<'d>> {
        let (before, _) = self.collection.rsplit_once('/')?;
        let found = by_item.get(&blank(before))?.iter();
        found.map(|index| &all[*index]).find(|other| {
            other.key.len() + 1 == self.key.len()
                && other
                    .key
                    .iter()
                    .zip(&self.key)
                    .all(|(one, other)| one.kind == other.kind)
        })
    }
}

/// The query parameters that the state can't serve, if they may be left out. `None` if one must be given.
fn refused(operation: &Operation, value: &Value) -> Option<Vec<String>> {
    let mut refused = Vec::new();
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
            refused.push(parameter.field.clone());
        }
    }
    Some(refused)
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

/// A path without the names of its parameters.
fn blank(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            "{}"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Whether paths differ in nothing but the names of their parameters.
fn same_route(one: &str, other: &str) -> bool {
    blank(one) == blank(other)
}

/// The last segment of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
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
