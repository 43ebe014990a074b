//! What may be a resource, and what the document says of it as a state.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{
    key::Key,
    path::{blank, singular},
    shape::{self, Shape},
    wishes::SchemaWish,
};
use crate::model::{KeyField, Resource, TypeId, TypeRef};

/// How many partitions a state has if nobody says otherwise.
const PARTITIONS: u32 = 16;

/// A resource, perhaps.
pub(super) struct Candidate<'d> {
    pub(super) name: String,
    /// `/pets`
    pub(super) collection: String,
    /// `/pets/{petId}`
    pub(super) item: String,
    pub(super) entity: TypeId,
    /// Where the entity's schema is.
    pub(super) schema: Shape<'d>,
    pub(super) key: Vec<Key>,
    /// What the server sets.
    pub(super) fill: BTreeMap<String, Value>,
    pub(super) wish: SchemaWish,
}

/// Leaves one of several candidates for the same entities, and gives each a name of its own.
pub(super) fn settle(candidates: &mut Vec<Candidate<'_>>) {
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
                Some(parent) => format!("{}_{name}", singular(&crate::names::value_name(parent))),
                None => format!("{name}_2"),
            };
        }
        taken.insert(name.clone());
        candidate.name = name;
    }
}

impl Candidate<'_> {
    pub(super) fn resource(&self) -> Resource {
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
            ack: self.wish.ack.clone(),
            migrate: self.wish.migrate.clone(),
        }
    }

    pub(super) fn topic(&self) -> &str {
        self.wish.topic.as_deref().unwrap_or(&self.name)
    }

    /// How many parts of the key decide the partition: those of the outermost parent keep its parts together.
    pub(super) fn partition_by(&self) -> usize {
        self.wish.partition_by.unwrap_or(1).min(self.key.len())
    }

    /// As the runtime reads it, at the root of the document.
    pub(super) fn state(&self) -> Value {
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

    /// The resource of which this one is a part.
    pub(super) fn parent<'a, 'd>(
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

/// What the server sets: times, where requests don't.
pub(super) fn fill(entity: &Shape<'_>) -> BTreeMap<String, Value> {
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
