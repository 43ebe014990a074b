//! What of a value passes in one direction: read-only properties not into the state, write-only ones not out of it.
//!
//! A projection is made of schemas once, at start-up, and keeps only what has an effect.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{instance::instance, schema::Schema};

/// Schemas that one projection follows. What lies behind the last one passes as it is.
const NODES_MAX: usize = 50_000;

/// Which way a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// From a request whose schema is the entity's: without what is read-only.
    Request,
    /// From a request with a schema of its own: also without what that schema does not name.
    OtherRequest,
    /// Into the state: what is required is there.
    Stored,
    /// Into a reply whose schema is the entity's: without what is write-only.
    Reply,
    /// Into a reply with a schema of its own: also without what that schema does not name, and with all that it requires.
    OtherReply,
}

impl Direction {
    const fn is_request(self) -> bool {
        matches!(self, Self::Request | Self::OtherRequest)
    }

    const fn is_reply(self) -> bool {
        matches!(self, Self::Reply | Self::OtherReply)
    }

    const fn restricts(self) -> bool {
        matches!(self, Self::OtherRequest | Self::OtherReply)
    }

    const fn completes(self) -> bool {
        matches!(self, Self::Stored | Self::OtherReply)
    }
}

/// A projection of values of one schema.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    nodes: Vec<Node>,
}

/// What happens to the values in one place.
#[derive(Debug, Default)]
struct Node {
    /// Properties that do not pass.
    dropped: Vec<String>,
    /// The only properties that pass.
    only: Option<BTreeSet<String>>,
    /// Properties that must be there, and what they are if they are not.
    required: Vec<(String, Value)>,
    fields: Vec<(String, usize)>,
    items: Option<usize>,
    /// All properties but these.
    others: Option<(BTreeSet<String>, usize)>,
}

impl Projection {
    /// The projection of the values of a schema.
    pub(crate) fn new(schema: Schema<'_>, direction: Direction) -> Self {
        let mut plan = Plan::new(direction);
        plan.place(vec![schema]);
        while let Some((index, schemas)) = plan.open.pop_front() {
            let node = plan.node(&schemas);
            plan.nodes[index] = node;
        }
        let mut nodes = plan.nodes;
        prune(&mut nodes);
        Self { nodes }
    }

    /// Whether all values pass as they are.
    pub(crate) fn is_identity(&self) -> bool {
        self.nodes.first().is_none_or(Node::is_idle)
    }

    /// Changes a value to what passes.
    pub(crate) fn apply(&self, value: &mut Value) {
        if !self.is_identity() {
            self.apply_at(0, value);
        }
    }

    fn apply_at(&self, index: usize, value: &mut Value) {
        let node = &self.nodes[index];
        match value {
            Value::Object(fields) => {
                for name in &node.dropped {
                    fields.remove(name);
                }
                if let Some(only) = &node.only {
                    fields.retain(|name, _| only.contains(name));
                }
                for (name, child) in &node.fields {
                    if let Some(value) = fields.get_mut(name) {
                        self.apply_at(*child, value);
                    }
                }
                if let Some((known, child)) = &node.others {
                    for (name, value) in fields.iter_mut() {
                        if !known.contains(name) {
                            self.apply_at(*child, value);
                        }
                    }
                }
                for (name, value) in &node.required {
                    if !fields.contains_key(name) {
                        fields.insert(name.clone(), value.clone());
                    }
                }
            }
            Value::Array(items) => {
                if let Some(child) = node.items {
                    for item in items {
                        self.apply_at(child, item);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes over from `before` what could not pass with `value`: a request can't change what it can't say.
    pub(crate) fn keep(&self, before: &Value, value: &mut Value) {
        if !self.is_identity() {
            self.keep_at(0, before, value);
        }
    }

    fn keep_at(&self, index: usize, before: &Value, value: &mut Value) {
        let node = &self.nodes[index];
        let (Value::Object(before), Value::Object(fields)) = (before, value) else {
            return;
        };
        for name in &node.dropped {
            match before.get(name) {
                Some(value) => drop(fields.insert(name.clone(), value.clone())),
                None => drop(fields.remove(name)),
            }
        }
        if let Some(only) = &node.only {
            for (name, value) in before {
                if !only.contains(name) && !fields.contains_key(name) {
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        for (name, child) in &node.fields {
            if let (Some(before), Some(value)) = (before.get(name), fields.get_mut(name)) {
                self.keep_at(*child, before, value);
            }
        }
    }
}

impl Node {
    fn is_idle(&self) -> bool {
        !self.acts() && self.fields.is_empty() && self.items.is_none() && self.others.is_none()
    }

    /// Whether it does something itself.
    fn acts(&self) -> bool {
        !self.dropped.is_empty() || self.only.is_some() || !self.required.is_empty()
    }

    fn children(&self) -> impl Iterator<Item = usize> {
        let fields = self.fields.iter().map(|(_, child)| *child);
        let others = self.others.as_ref().map(|(_, child)| *child);
        fields.chain(self.items).chain(others)
    }
}

/// A projection in the making. A place has several schemas if it is in several alternatives of a `oneOf` or `anyOf`.
struct Plan<'d> {
    direction: Direction,
    nodes: Vec<Node>,
    known: HashMap<Vec<*const Value>, usize>,
    open: VecDeque<(usize, Vec<Schema<'d>>)>,
}

impl<'d> Plan<'d> {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            nodes: Vec::new(),
            known: HashMap::new(),
            open: VecDeque::new(),
        }
    }

    fn place(&mut self, schemas: Vec<Schema<'d>>) -> Option<usize> {
        let id: Vec<_> = schemas
            .iter()
            .map(|schema| std::ptr::from_ref(target(*schema)))
            .collect();
        if let Some(index) = self.known.get(&id) {
            return Some(*index);
        }
        if self.nodes.len() == NODES_MAX {
            return None;
        }
        let index = self.nodes.len();
        self.nodes.push(Node::default());
        self.known.insert(id, index);
        self.open.push_back((index, schemas));
        Some(index)
    }

    fn node(&mut self, schemas: &[Schema<'d>]) -> Node {
        let mut node = Node::default();
        let all = with_alternatives(schemas);
        let mut properties: BTreeMap<&str, Vec<Schema<'_>>> = BTreeMap::new();
        for schema in &all {
            for (name, property) in schema.properties() {
                properties.entry(name).or_default().push(property);
            }
        }
        for (name, schemas) in &properties {
            let is_dropped = if self.direction.is_request() {
                schemas.iter().all(|schema| schema.flag("readOnly"))
            } else {
                self.direction.is_reply() && schemas.iter().any(|schema| schema.flag("writeOnly"))
            };
            if is_dropped {
                node.dropped.push((*name).to_owned());
            }
        }
        if let [schema] = all[..] {
            if self.direction.restricts() && names_all(schema, &properties) {
                node.only = Some(properties.keys().map(|name| (*name).to_owned()).collect());
            }
            if self.direction.completes() {
                node.required = required(schema, &properties, &node.dropped);
            }
        }
        let others: Vec<_> = all
            .iter()
            .filter_map(|schema| {
                let others = schema.keyword("additionalProperties")?;
                others
                    .is_object()
                    .then(|| Schema::new(schema.document, others))
            })
            .collect();
        if !others.is_empty() {
            let names = properties.keys().map(|name| (*name).to_owned()).collect();
            node.others = self.place(others).map(|child| (names, child));
        }
        let items: Vec<_> = all.iter().filter_map(|schema| schema.items()).collect();
        if !items.is_empty() {
            node.items = self.place(items);
        }
        for (name, schemas) in properties {
            if let Some(child) = self.place(schemas) {
                node.fields.push((name.to_owned(), child));
            }
        }
        node
    }
}

/// The schema that a mere reference stands for, so that equal references are one place.
fn target(schema: Schema<'_>) -> &Value {
    match schema.value.as_object() {
        Some(fields) if fields.len() == 1 => fields
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| Schema::by_reference(schema.document, reference))
            .map_or(schema.value, |target| target.value),
        _ => schema.value,
    }
}

/// The schemas and their alternatives, whichever applies.
fn with_alternatives<'d>(schemas: &[Schema<'d>]) -> Vec<Schema<'d>> {
    let mut all: Vec<Schema<'_>> = Vec::new();
    let mut open: Vec<Schema<'_>> = schemas.iter().rev().copied().collect();
    while let Some(schema) = open.pop() {
        if all
            .iter()
            .any(|known| std::ptr::eq(known.value, schema.value))
            || all.len() == 256
        {
            continue;
        }
        all.push(schema);
        open.extend(schema.alternatives().into_iter().rev());
    }
    all
}

/// Whether a schema names all properties that there are, as far as it is concerned.
fn names_all(schema: Schema<'_>, properties: &BTreeMap<&str, Vec<Schema<'_>>>) -> bool {
    let open = |part: &Map<String, Value>| {
        part.contains_key("patternProperties")
            || matches!(part.get("additionalProperties"), Some(others) if *others != Value::Bool(false))
    };
    !properties.is_empty() && !schema.parts().into_iter().any(open)
}

fn required(
    schema: Schema<'_>,
    properties: &BTreeMap<&str, Vec<Schema<'_>>>,
    dropped: &[String],
) -> Vec<(String, Value)> {
    let mut required = Vec::new();
    for name in schema.required() {
        if dropped.iter().any(|dropped| dropped == name) {
            continue;
        }
        let value = match properties.get(name).and_then(|schemas| schemas.first()) {
            Some(property) => instance(*property),
            None => Some(Value::Null),
        };
        if let Some(value) = value {
            required.push((name.to_owned(), value));
        }
    }
    required
}

/// Takes away the ways to places where nothing happens.
fn prune(nodes: &mut [Node]) {
    let mut parents: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for child in node.children() {
            parents[child].push(index);
        }
    }
    let mut alive: Vec<bool> = nodes.iter().map(Node::acts).collect();
    let mut open: Vec<usize> = (0..nodes.len()).filter(|index| alive[*index]).collect();
    while let Some(index) = open.pop() {
        for parent in &parents[index] {
            if !alive[*parent] {
                alive[*parent] = true;
                open.push(*parent);
            }
        }
    }
    for node in nodes {
        node.fields.retain(|(_, child)| alive[*child]);
        node.items = node.items.filter(|child| alive[*child]);
        node.others = node.others.take().filter(|(_, child)| alive[*child]);
    }
}

/// The projections of a document, each made once.
#[derive(Debug, Default)]
pub(crate) struct Projections(HashMap<(usize, Direction), Arc<Projection>>);

impl Projections {
    pub(crate) fn get(&mut self, schema: Schema<'_>, direction: Direction) -> Arc<Projection> {
        let id = (std::ptr::from_ref(target(schema)).addr(), direction);
        self.0
            .entry(id)
            .or_insert_with(|| Arc::new(Projection::new(schema, direction)))
            .clone()
    }
}

/// Whether two schemas of a document are the same one.
pub(crate) fn is_same(one: Schema<'_>, other: Schema<'_>) -> bool {
    std::ptr::eq(target(one), target(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "Pet": {
                "type": "object",
                "required": ["id", "name", "owner", "since"],
                "properties": {
                    "id": {"type": "integer", "readOnly": true},
                    "name": {"type": "string"},
                    "secret": {"type": "string", "writeOnly": true},
                    "owner": {"$ref": "#/Owner"},
                    "since": {"type": "string", "format": "date", "readOnly": true},
                    "friends": {"type": "array", "items": {"$ref": "#/Pet"}},
                    "notes": {"type": "object", "additionalProperties": {"$ref": "#/Note"}},
                },
            },
            "Owner": {"type": "object", "properties": {"name": {"type": "string"}, "score": {"type": "integer", "readOnly": true}}},
            "Note": {"allOf": [{"properties": {"by": {"readOnly": true}}}, {"properties": {"text": {}}}]},
            "NewPet": {"type": "object", "properties": {"name": {"type": "string"}, "owner": {"$ref": "#/Owner"}}},
            "Summary": {"type": "object", "required": ["name", "kind"], "properties": {"name": {"type": "string"}, "kind": {"type": "string", "enum": ["pet"]}}},
            "Either": {"oneOf": [
                {"properties": {"a": {"writeOnly": true}, "b": {"readOnly": true}, "kind": {"readOnly": true}}},
                {"properties": {"a": {}, "b": {}, "kind": {"readOnly": true}}},
            ]},
            "Plain": {"type": "object", "properties": {"x": {"$ref": "#/Plain"}, "y": {"type": "array", "items": {"$ref": "#/Plain"}}}},
        })
    }

    fn check(name: &str, direction: Direction, value: &Value, expected: &Value) {
        let document = document();
        let schema = Schema::by_reference(&document, &format!("#/{name}")).unwrap();
        let mut projected = value.clone();
        Projection::new(schema, direction).apply(&mut projected);
        assert_eq!(projected, *expected, "{name} {direction:?}: {value}");
    }

    #[test]
    fn what_passes() {
        let pet = json!({
            "id": 1, "name": "a", "secret": "s", "owner": {"name": "o", "score": 3}, "since": "2020-01-01",
            "friends": [{"id": 2, "secret": "t"}], "notes": {"x": {"by": "me", "text": "hm"}}, "more": 1,
        });
        check(
            "Pet",
            Direction::Request,
            &pet,
            &json!({
                "name": "a", "secret": "s", "owner": {"name": "o"}, "friends": [{"secret": "t"}], "notes": {"x": {"text": "hm"}}, "more": 1,
            }),
        );
        check(
            "Pet",
            Direction::Reply,
            &pet,
            &json!({
                "id": 1, "name": "a", "owner": {"name": "o", "score": 3}, "since": "2020-01-01",
                "friends": [{"id": 2}], "notes": {"x": {"by": "me", "text": "hm"}}, "more": 1,
            }),
        );
        check(
            "NewPet",
            Direction::OtherRequest,
            &pet,
            &json!({"name": "a", "owner": {"name": "o"}}),
        );
        check(
            "Summary",
            Direction::OtherReply,
            &pet,
            &json!({"name": "a", "kind": "pet"}),
        );
        check(
            "Pet",
            Direction::Stored,
            &json!({"name": "b"}),
            &json!({
                "name": "b", "id": 0, "owner": {}, "since": "1970-01-01",
            }),
        );
        check(
            "Either",
            Direction::Request,
            &json!({"a": 1, "b": 2, "kind": 3}),
            &json!({"a": 1, "b": 2}),
        );
        check(
            "Either",
            Direction::Reply,
            &json!({"a": 1, "b": 2, "kind": 3}),
            &json!({"b": 2, "kind": 3}),
        );
        check(
            "Pet",
            Direction::Reply,
            &json!("no object"),
            &json!("no object"),
        );
    }

    #[test]
    fn nothing_to_do_is_known() {
        let document = document();
        for (name, direction, idle) in [
            ("Plain", Direction::Request, true),
            ("Plain", Direction::Reply, true),
            ("Plain", Direction::Stored, true),
            ("Plain", Direction::OtherReply, false),
            ("Pet", Direction::Request, false),
            ("Summary", Direction::Reply, true),
        ] {
            let schema = Schema::by_reference(&document, &format!("#/{name}")).unwrap();
            let projection = Projection::new(schema, direction);
            assert_eq!(projection.is_identity(), idle, "{name} {direction:?}");
        }
    }

    #[test]
    fn a_request_keeps_what_it_can_not_say() {
        let document = document();
        let before = json!({"id": 1, "name": "a", "since": "2020-01-01", "owner": {"name": "o", "score": 3}, "notes": {}});
        for (name, direction, value, expected) in [
            (
                "Pet",
                Direction::Request,
                json!({"name": "b", "owner": {"name": "p"}}),
                json!({"id": 1, "name": "b", "since": "2020-01-01", "owner": {"name": "p", "score": 3}}),
            ),
            (
                "NewPet",
                Direction::OtherRequest,
                json!({"name": "b"}),
                json!({"id": 1, "name": "b", "since": "2020-01-01", "notes": {}}),
            ),
        ] {
            let schema = Schema::by_reference(&document, &format!("#/{name}")).unwrap();
            let mut kept = value;
            Projection::new(schema, direction).keep(&before, &mut kept);
            assert_eq!(kept, expected, "{name}");
        }
    }
}
