//! Properties that a request gives as an id and an entity holds as an object: `"owner": "7"` is kept as `"owner": {"id": "7"}`.

use serde_json::{Map, Value};

use super::schema::Schema;
use crate::contract::coerce::Kinds;

/// Names of properties that hold the id of an object. The generator has the same (`infer/key.rs`).
const IDS: [&str; 6] = ["id", "gid", "uid", "uuid", "_id", "sid"];

/// The properties of a request that the entity has in another form.
#[derive(Debug, Default)]
pub(crate) struct References(Vec<(String, Form)>);

/// How a property of the request becomes that of the entity.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    /// The id becomes an object with this property.
    Object(String),
    /// Each id of a list does.
    Objects(String),
    /// No value of the one is a value of the other.
    Unlike,
}

impl References {
    /// What is different between a request's schema and that of the entity.
    pub(crate) fn new(request: Schema<'_>, entity: Schema<'_>) -> Self {
        let kept = entity.properties();
        let given = request.properties().into_iter();
        let different = given.filter_map(|(name, given)| {
            let form = Form::new(given, *kept.get(name)?)?;
            Some((name.to_owned(), form))
        });
        Self(different.collect())
    }

    /// Gives the properties of a request the form that the entity has.
    ///
    /// # Errors
    /// The name of one that has no such form: what a client gave is not left out in silence.
    pub(crate) fn apply(&self, given: &mut Value) -> Result<(), &str> {
        let Value::Object(fields) = given else {
            return Ok(());
        };
        for (name, form) in &self.0 {
            let Some(value) = fields.get_mut(name).filter(|value| !value.is_null()) else {
                continue;
            };
            match form {
                Form::Object(id) if !value.is_object() => *value = object(id, value.take()),
                Form::Objects(id) => {
                    for item in value.as_array_mut().into_iter().flatten() {
                        if !item.is_object() {
                            *item = object(id, item.take());
                        }
                    }
                }
                Form::Object(_) => {}
                Form::Unlike => return Err(name),
            }
        }
        Ok(())
    }

    /// Sets the references of a change in an entity: another id is another object, and nothing of the old one stays.
    pub(crate) fn put(&self, change: &Value, entity: &mut Value) {
        for (name, form) in &self.0 {
            if let (Form::Object(_), Some(value)) = (form, change.get(name))
                && value.is_object()
            {
                entity[name] = value.clone();
            }
        }
    }
}

impl Form {
    /// `None` if values of the request are values of the entity.
    fn new(given: Schema<'_>, kept: Schema<'_>) -> Option<Self> {
        let (from, to) = (Kinds::of(given), Kinds::of(kept));
        if from.meets(&to) {
            let (from, to) = (given.items()?, kept.items()?);
            let both_lists = !Kinds::of(from).meets(&Kinds::of(to));
            return both_lists.then(|| id_of(from, to).map_or(Self::Unlike, Self::Objects));
        }
        Some(id_of(given, kept).map_or(Self::Unlike, Self::Object))
    }
}

/// The property of an object that is its id, if the request gives one.
fn id_of(given: Schema<'_>, kept: Schema<'_>) -> Option<String> {
    if !Kinds::of(kept).object() {
        return None;
    }
    // An object may be one of several kinds, each with an id.
    let properties = std::iter::once(kept)
        .chain(kept.alternatives())
        .map(Schema::properties)
        .find(|properties| !properties.is_empty())?;
    let given = Kinds::of(given);
    IDS.into_iter()
        .find(|id| {
            let id = properties.get(id).map(|id| Kinds::of(*id));
            id.is_some_and(|id| id.scalar() && given.scalar() && given.meets(&id))
        })
        .map(str::to_owned)
}

fn object(id: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(id.to_owned(), value)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_become_objects() {
        let document = json!({
            "Request": { "properties": {
                "name": { "type": "string" }, "owner": { "type": "string" }, "boss": { "type": ["string", "null"] },
                "friends": { "type": "array", "items": { "type": "integer" } },
                "fields": { "type": "object", "additionalProperties": { "type": "string" } },
                "size": { "type": "integer" }, "more": { "type": "string" },
            } },
            "Entity": { "properties": {
                "name": { "type": "string" }, "owner": { "$ref": "#/Owner" },
                "boss": { "oneOf": [{ "$ref": "#/Owner" }, { "type": "null" }] },
                "friends": { "type": "array", "items": { "type": "object", "properties": { "id": { "type": "integer" } } } },
                "fields": { "type": "array", "items": { "type": "string" } },
                "size": { "type": "number" },
            } },
            "Owner": { "type": "object", "properties": { "gid": { "type": "string" }, "name": { "type": "string" } } },
        });
        let schema = |name: &str| Schema::by_reference(&document, &format!("#/{name}")).unwrap();
        let references = References::new(schema("Request"), schema("Entity"));
        let mut given = json!({ "name": "a", "owner": "7", "boss": null, "friends": [1, 2], "size": 3, "more": "x" });
        references.apply(&mut given).unwrap();
        let expected = json!({
            "name": "a", "owner": { "gid": "7" }, "boss": null, "friends": [{ "id": 1 }, { "id": 2 }], "size": 3, "more": "x",
        });
        assert_eq!(given, expected);
        let refused = references.apply(&mut json!({ "fields": { "a": "b" } }));
        assert_eq!(refused, Err("fields"));
        let mut entity = json!({ "owner": { "gid": "6", "name": "old" }, "name": "a" });
        references.put(&given, &mut entity);
        assert_eq!(entity, json!({ "owner": { "gid": "7" }, "name": "a" }));
        let same = References::new(schema("Entity"), schema("Entity"));
        assert!(same.0.is_empty());
    }
}
