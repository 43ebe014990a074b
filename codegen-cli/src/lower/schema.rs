//! One schema, with what `allOf` adds to it.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use openapiv3::{AnySchema, SchemaData};
use serde_json::Value as Json;

use super::{
    place::Place,
    types::{HOPS_MAX, Types},
};
use crate::spec::{Member, Node, Object, Value};

/// The most schemas that `allOf` puts together. One of more is any value.
pub(super) const PARTS_MAX: usize = 1000;
/// The members of a schema that hold other schemas. They are looked at one by one, not with the schema.
const INNER: [&str; 7] = [
    "properties",
    "additionalProperties",
    "items",
    "allOf",
    "oneOf",
    "anyOf",
    "not",
];

/// The members that say something about a type, but for the discriminator. The rest is for people or for the service, and may be wrong without any harm.
const OWN: [&str; 11] = [
    "type",
    "format",
    "enum",
    "nullable",
    "required",
    "title",
    "description",
    "default",
    "readOnly",
    "writeOnly",
    "deprecated",
];

/// Which properties an object may have besides those with a name.
#[derive(Clone, Debug, Default)]
pub(super) enum Additional<'a> {
    /// The schema does not say: they are let through and not kept.
    #[default]
    Unsaid,
    /// None.
    Forbidden,
    /// Any.
    Free,
    /// Those of a schema.
    Typed(Place<'a>),
}

/// What a schema says, its own words and those of its `allOf` taken together.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the flags of OpenAPI"
)]
pub(super) struct Schema<'a> {
    pub(super) kind: Option<String>,
    pub(super) format: Option<String>,
    pub(super) values: Option<Vec<Json>>,
    pub(super) nullable: bool,
    pub(super) properties: IndexMap<&'a str, Place<'a>>,
    pub(super) required: BTreeSet<String>,
    pub(super) additional: Additional<'a>,
    pub(super) items: Option<Place<'a>>,
    pub(super) variants: Vec<Place<'a>>,
    pub(super) discriminator: Option<openapiv3::Discriminator>,
    pub(super) title: String,
    pub(super) doc: String,
    pub(super) default: Option<Json>,
    pub(super) read_only: bool,
    pub(super) write_only: bool,
    pub(super) deprecated: bool,
    /// The one schema that it is another name for.
    pub(super) same_as: Option<String>,
}

impl<'a> Schema<'a> {
    /// Reads the schema at a place, which is no reference. `None` if `openapiv3` can't.
    pub(super) fn read(place: &Place<'a>, types: &Types<'a, '_>) -> Option<Self> {
        let mut left = PARTS_MAX;
        let read = Self::merged(place, types, &mut Vec::new(), &mut left);
        if left == 0 {
            types.too_much(format!("#{}", place.pointer), place);
        }
        read
    }

    /// `open` are the references that are being followed: a circle of `allOf` adds nothing. `left` is how many parts there may still be; with 0 nothing can be said of the whole.
    fn merged(
        place: &Place<'a>,
        types: &Types<'a, '_>,
        open: &mut Vec<&'a str>,
        left: &mut usize,
    ) -> Option<Self> {
        *left -= 1;
        if *left == 0 || open.len() >= HOPS_MAX {
            *left = 0;
            return None;
        }
        let mut schema = Self::own(place)?;
        let parts: Vec<Place<'a>> = place.at("allOf").items().collect();
        if parts.is_empty() {
            return Some(schema);
        }
        let bare = !schema.is_structural();
        let mut structural = Vec::new();
        let mut inherited: Vec<(Self, bool)> = Vec::new();
        for part in &parts {
            let reference = part.reference();
            let read = match reference {
                Some(reference) if open.contains(&reference) => None,
                Some(reference) if types.is_too_much(reference) => {
                    *left = 0;
                    None
                }
                Some(reference) => {
                    open.push(reference);
                    let read = types
                        .resolve(part)
                        .and_then(|part| Self::merged(&part, types, open, left));
                    open.pop();
                    if *left == 0 {
                        types.too_much(reference.to_owned(), part);
                    }
                    read
                }
                None => Self::merged(part, types, open, left),
            };
            if *left == 0 {
                return None;
            }
            let Some(read) = read else { continue };
            if reference.is_some() || read.is_structural() || read.same_as.is_some() {
                let same = reference.map(str::to_owned).or(read.same_as.clone());
                structural.push(same);
            }
            inherited.push((read, reference.is_some()));
        }
        if bare && let [Some(only)] = structural.as_slice() {
            schema.same_as = Some(only.clone());
        }
        schema.nullable |= schema.kind.is_none()
            && !inherited.is_empty()
            && inherited.iter().all(|(part, _)| part.nullable);
        // The last one is the closest: `allOf` names a base first, and then what is added to it.
        for (part, referred) in inherited.into_iter().rev() {
            schema.take_over(part, referred);
        }
        Some(schema)
    }

    /// What the schema itself says.
    fn own(place: &Place<'a>) -> Option<Self> {
        let object = place.node.as_object()?;
        let shallow: Object = object
            .iter()
            .filter(|(name, _)| OWN.contains(&name.as_str()))
            .map(|(name, member): (_, &Member)| (name.clone(), member.clone()))
            .collect();
        let shallow = Node::new(Value::Object(shallow), place.node.span);
        let any: AnySchema = shallow.deserialize().ok()?;
        let data: SchemaData = shallow.deserialize().ok()?;
        let additional = place.member("additionalProperties");
        let additional = match additional {
            None => Additional::Unsaid,
            Some(inner) => match &inner.node.value {
                Value::Bool(false) => Additional::Forbidden,
                Value::Object(object) if !object.is_empty() => {
                    if inner
                        .node
                        .member("not")
                        .and_then(Node::as_object)
                        .is_some_and(Object::is_empty)
                    {
                        Additional::Forbidden
                    } else {
                        Additional::Typed(inner)
                    }
                }
                _ => Additional::Free,
            },
        };
        let variants = ["oneOf", "anyOf"].iter().find_map(|name| {
            let variants: Vec<_> = place.at(name).items().collect();
            (!variants.is_empty()).then_some(variants)
        });
        Some(Self {
            kind: any.typ,
            format: any.format,
            values: (!any.enumeration.is_empty()).then_some(any.enumeration),
            nullable: data.nullable,
            properties: place.at("properties").members().collect(),
            required: any.required.into_iter().collect(),
            additional,
            items: place.member("items"),
            variants: variants.unwrap_or_default(),
            discriminator: place
                .member("discriminator")
                .and_then(|place| place.node.deserialize().ok()),
            title: data.title.unwrap_or_default(),
            doc: data.description.unwrap_or_default(),
            default: data.default,
            read_only: data.read_only,
            write_only: data.write_only,
            deprecated: data.deprecated,
            same_as: None,
        })
    }

    /// Whether it says which values are right, and not only something about them.
    pub(super) fn is_structural(&self) -> bool {
        !self.properties.is_empty()
            || self.values.is_some()
            || self.items.is_some()
            || !self.variants.is_empty()
            || matches!(self.additional, Additional::Free | Additional::Typed(_))
            || self.kind.as_deref().is_some_and(|kind| kind != "object")
    }

    /// Adds what a part of `allOf` says. What is closer to the value counts more: own words before those of parts.
    fn take_over(&mut self, part: Self, referred: bool) {
        self.kind = self.kind.take().or(part.kind);
        self.format = self.format.take().or(part.format);
        self.values = match (self.values.take(), part.values) {
            (Some(own), Some(other)) => {
                let both: Vec<Json> = own
                    .iter()
                    .filter(|one| other.contains(one))
                    .cloned()
                    .collect();
                Some(if both.is_empty() { own } else { both })
            }
            (own, other) => own.or(other),
        };
        // The order of the document: what is inherited comes first.
        let own = std::mem::take(&mut self.properties);
        let mut all = part.properties;
        for (name, place) in own {
            let says = place.node.as_object().is_some_and(|object| {
                object.keys().any(|name| {
                    matches!(name.as_str(), "type" | "$ref" | "enum" | "properties")
                        || INNER.contains(&name.as_str())
                })
            });
            if says || !all.contains_key(name) {
                all.insert(name, place);
            }
        }
        self.properties = all;
        self.required.extend(part.required);
        self.additional = match (std::mem::take(&mut self.additional), part.additional) {
            (Additional::Unsaid, other) | (other, Additional::Unsaid) => other,
            (Additional::Forbidden, _) | (_, Additional::Forbidden) => Additional::Forbidden,
            (Additional::Free, other) | (other, _) => other,
        };
        self.items = self.items.take().or(part.items);
        if self.variants.is_empty() {
            self.variants = part.variants;
            // The discriminator of a parent tells its children apart, and is none of theirs.
            if !referred || !self.variants.is_empty() {
                self.discriminator = self.discriminator.take().or(part.discriminator);
            }
        } else if !part.variants.is_empty() {
            // Two choices at once: what they hold is kept as it comes.
            self.variants.extend(part.variants);
            self.additional = Additional::Free;
        }
        if self.doc.is_empty() {
            self.doc = part.doc;
        }
        self.default = self.default.take().or(part.default);
        self.read_only |= part.read_only;
        self.write_only |= part.write_only;
        self.deprecated |= part.deprecated && !referred;
    }
}
