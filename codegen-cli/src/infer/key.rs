//! The key of a resource: the parameters of its path, and where the entity has them.

use super::{
    path::{field, placeholders},
    shape::{Shape, at},
};
use crate::model::{Operation, Place, TypeRef};

/// A part of the key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) parameter: String,
    /// As the runtime calls the type.
    pub(super) kind: &'static str,
    pub(super) at: Option<String>,
}

/// Names of properties that hold the key of an entity, whatever the parameter is called.
const IDS: [&str; 6] = ["id", "gid", "uid", "uuid", "_id", "sid"];

/// The key by the path of the operation that reads one entity. `None` if a part of it can't be a key.
pub(super) fn of(read: &Operation, entity: &Shape<'_>) -> Option<Vec<Key>> {
    let names = placeholders(&read.path);
    let mut keys: Vec<Key> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let parameter = read
            .parameters
            .iter()
            .find(|parameter| parameter.place == Place::Path && parameter.name == *name)?;
        let kind = match &parameter.ty {
            TypeRef::I32 => "int32",
            TypeRef::I64 => "int64",
            TypeRef::U32 => "uint32",
            TypeRef::U64 => "uint64",
            TypeRef::Uuid => "uuid",
            TypeRef::String | TypeRef::Named(_) => "string",
            _ => return None,
        };
        let last = index + 1 == names.len();
        let place = place(name, entity, last).filter(|place| {
            // Two parts of a key are not one property.
            !keys.iter().any(|key| key.at.as_ref() == Some(place))
        });
        let field = field(read, name);
        keys.push(Key {
            parameter: field.to_owned(),
            kind,
            at: place,
        });
    }
    Some(keys)
}

/// Letters and digits alone, in lower case: `petId` and `pet_id` are the same.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().to_ascii_lowercase()
}

/// Where an object that stands for another entity has its key: `/gid` of `{"gid": …, "name": …}`.
pub(super) fn of_reference(object: &Shape<'_>) -> Option<String> {
    let id_of = |shape: &Shape<'_>| {
        let properties = shape.properties();
        let is_one = |id: &&&str| properties.get(**id).is_some_and(Shape::is_scalar);
        IDS.iter().find(is_one).map(|id| at(id))
    };
    id_of(object).or_else(|| object.alternatives().iter().find_map(id_of))
}

/// Where an entity has the value of a parameter.
fn place(parameter: &str, entity: &Shape<'_>, last: bool) -> Option<String> {
    let properties = entity.properties();
    let scalar = |name: &str| properties.get(name).is_some_and(Shape::is_scalar);
    let same = properties
        .keys()
        .find(|name| plain(name) == plain(parameter) && scalar(name));
    if let Some(name) = same {
        return Some(at(name));
    }
    // Kubernetes: the name of an object is in its metadata.
    if let Some(metadata) = properties.get("metadata") {
        let inner = metadata.properties();
        if inner.get(parameter).is_some_and(Shape::is_scalar) {
            return Some(format!("/metadata{}", at(parameter)));
        }
    }
    if !last {
        return None;
    }
    let plain = plain(parameter);
    // `pet_id`, `petId` or just `pet`: the property `id`.
    let id = IDS
        .iter()
        .find(|id| scalar(id) && (plain.ends_with(**id) || **id == "id"));
    if let Some(id) = id {
        return Some(at(id));
    }
    // `user_name`: the property `name`.
    let end = properties
        .keys()
        .filter(|name| scalar(name) && name.len() > 2);
    let end = end.filter(|name| plain.ends_with(&self::plain(name)));
    end.max_by_key(|name| name.len()).map(|name| at(name))
}
