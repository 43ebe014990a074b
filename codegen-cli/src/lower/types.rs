//! Schemas become types: a table of those with a name, and references to it.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, VecDeque},
};

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{
    place::Place,
    schema::{Additional, PARTS_MAX, Schema},
};
use crate::{
    diagnostic::{Diagnostics, Span},
    model::{Field, Struct, TypeDef, TypeId, TypeKind, TypeRef, Union, Variant},
    spec::Node,
};

/// The most values that an enum has a variant for. A value of more is a text or a number; the document still says which are right.
const VARIANTS_MAX: usize = 100;
/// The references that are followed from one to the next. Lists of lists, and the like, are types up to here.
pub(super) const HOPS_MAX: usize = 64;

/// The types that were met, and what is still to be read of them.
///
/// A type with a name gets its place in the table when it is met, and its inside is read later. So a type can hold itself, and the stack stays flat.
pub(super) struct Types<'a, 'd> {
    pub(super) tree: &'a Node,
    pub(super) diagnostics: &'d mut Diagnostics,
    document: &'a Json,
    table: Vec<TypeDef>,
    components: HashMap<String, TypeRef>,
    /// Types with a name by the places of their schemas: `allOf` brings one schema to many types, and a circle of them without end.
    placed: HashMap<String, TypeRef>,
    /// Enums of parameters by name and values: an API asks for the same choice in many operations.
    choices: HashMap<String, TypeRef>,
    /// Components whose type is being found: one that leads back to itself through lists alone is any value.
    open: HashSet<String>,
    waiting: VecDeque<Waiting<'a>>,
    /// References to schemas that `allOf` puts together from more than is looked at.
    too_much: RefCell<IndexMap<String, Span>>,
}

/// A type whose inside is still to be read.
struct Waiting<'a> {
    id: TypeId,
    schema: Box<Schema<'a>>,
}

impl<'a, 'd> Types<'a, 'd> {
    pub(super) fn new(
        tree: &'a Node,
        document: &'a Json,
        diagnostics: &'d mut Diagnostics,
    ) -> Self {
        Self {
            tree,
            diagnostics,
            document,
            table: Vec::new(),
            components: HashMap::new(),
            placed: HashMap::new(),
            choices: HashMap::new(),
            open: HashSet::new(),
            waiting: VecDeque::new(),
            too_much: RefCell::default(),
        }
    }

    /// All types, complete.
    pub(super) fn finish(mut self) -> Vec<TypeDef> {
        while let Some(waiting) = self.waiting.pop_front() {
            self.fill(waiting);
        }
        let too_much = self.too_much.take();
        if let Some((reference, span)) = too_much.first() {
            self.diagnostics.warning(
                *span,
                reference.as_str(),
                format!(
                    "`allOf` puts this together from more than {PARTS_MAX} schemas, or over more than {HOPS_MAX} references; it is any value, and so are {} that need it",
                    too_much.len() - 1
                ),
            );
        }
        self.table
    }

    /// Whether a reference leads to a schema of too many parts.
    pub(super) fn is_too_much(&self, reference: &str) -> bool {
        self.too_much.borrow().contains_key(reference)
    }

    /// Remembers that it does.
    pub(super) fn too_much(&self, reference: String, place: &Place<'a>) {
        let mut too_much = self.too_much.borrow_mut();
        too_much.insert(reference, place.node.span);
    }

    /// Where references lead in the end.
    pub(super) fn resolve(&self, place: &Place<'a>) -> Option<Place<'a>> {
        let mut place = place.clone();
        for _ in 0..HOPS_MAX {
            let Some(reference) = place.reference() else {
                return Some(place);
            };
            let pointer = reference.strip_prefix('#')?.to_owned();
            let node = self.tree.pointer(&pointer)?;
            place = Place { node, pointer };
        }
        None
    }

    /// The type of a component by its reference, such as `#/components/schemas/Pet`.
    pub(super) fn component(&mut self, reference: &str) -> TypeRef {
        if let Some(known) = self.components.get(reference) {
            return known.clone();
        }
        let pointer = reference.trim_start_matches('#');
        let Some(node) = self.tree.pointer(pointer) else {
            return TypeRef::Any;
        };
        if self.open.len() >= HOPS_MAX {
            self.diagnostics.warning(
                node.span,
                reference,
                format!("this is the inside of {HOPS_MAX} schemas without a name of their own in Rust; from here on it is any value"),
            );
            return TypeRef::Any;
        }
        if !self.open.insert(reference.to_owned()) {
            return TypeRef::Any;
        }
        let place = Place {
            node,
            pointer: pointer.to_owned(),
        };
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let name = crate::spec::unescape(name).into_owned();
        let ty = self.of(&place, &name);
        self.open.remove(reference);
        self.components.insert(reference.to_owned(), ty.clone());
        ty
    }

    /// The type of the schema at a place. `words` name it, if it needs a name and is no component.
    pub(super) fn of(&mut self, place: &Place<'a>, words: &str) -> TypeRef {
        if let Some(reference) = place.reference() {
            return self.component(reference);
        }
        if let Some(known) = self.placed.get(&place.pointer) {
            return known.clone();
        }
        let Some(schema) = Schema::read(place, self) else {
            return TypeRef::Any;
        };
        self.of_schema(schema, place, words)
    }

    /// The type of a parameter. The same choice under the same name is one type.
    pub(super) fn of_parameter(&mut self, place: &Place<'a>, words: &str, name: &str) -> TypeRef {
        let own = component_words(place, "parameters").unwrap_or_else(|| format!("{words} {name}"));
        if place.reference().is_some() || self.placed.contains_key(&place.pointer) {
            return self.of(place, &own);
        }
        let Some(schema) = Schema::read(place, self) else {
            return TypeRef::Any;
        };
        let Some(values) = &schema.values else {
            return self.of_schema(schema, place, &own);
        };
        let kind = schema.kind.as_deref().unwrap_or_default();
        let choice = format!(
            "{name} {kind} {} {}",
            schema.nullable,
            Json::from(values.clone())
        );
        if let Some(known) = self.choices.get(&choice) {
            return known.clone();
        }
        let ty = self.of_schema(schema, place, name);
        self.choices.insert(choice, ty.clone());
        ty
    }

    /// The schema at a place, and its type.
    fn of_schema(&mut self, schema: Schema<'a>, place: &Place<'a>, words: &str) -> TypeRef {
        let mut nullable = schema.nullable;
        let ty = self.not_null(schema, place, words, &mut nullable);
        let ty = match ty {
            TypeRef::Any | TypeRef::Nullable(_) => ty,
            ty if nullable => TypeRef::Nullable(Box::new(ty)),
            ty => ty,
        };
        if ty.named().is_some() {
            self.placed.insert(place.pointer.clone(), ty.clone());
        }
        ty
    }

    fn not_null(
        &mut self,
        schema: Schema<'a>,
        place: &Place<'a>,
        words: &str,
        nullable: &mut bool,
    ) -> TypeRef {
        if let Some(same) = &schema.same_as {
            return self.component(same);
        }
        if let Some(values) = &schema.values {
            return self.enumeration(&schema, values, place, words, nullable);
        }
        let kind = schema.kind.as_deref();
        let object = kind == Some("object") || !schema.properties.is_empty();
        if !schema.variants.is_empty() && !object && kind.is_none() {
            return self.choice(schema, place, words);
        }
        match kind {
            _ if object => self.object(schema, place, words),
            Some("array") => self.list(&schema, words),
            None if schema.items.is_some() => self.list(&schema, words),
            None if matches!(schema.additional, Additional::Typed(_)) => {
                self.object(schema, place, words)
            }
            Some("boolean") => TypeRef::Bool,
            Some("integer") => match schema.format.as_deref() {
                Some("int8" | "int16" | "int32") => TypeRef::I32,
                Some("uint8" | "uint16" | "uint32") => TypeRef::U32,
                Some("uint" | "uint64") => TypeRef::U64,
                _ => TypeRef::I64,
            },
            Some("number") => match schema.format.as_deref() {
                Some("decimal" | "bigdecimal") => TypeRef::Decimal,
                _ => TypeRef::F64,
            },
            Some("string") => match schema.format.as_deref() {
                Some("uuid") => TypeRef::Uuid,
                Some("date") => TypeRef::Date,
                Some("date-time") => TypeRef::DateTime,
                Some("byte" | "base64") => TypeRef::Base64,
                Some("binary") => TypeRef::File,
                Some("decimal") => TypeRef::Decimal,
                _ => TypeRef::String,
            },
            _ => TypeRef::Any,
        }
    }

    fn list(&mut self, schema: &Schema<'a>, words: &str) -> TypeRef {
        let item = match &schema.items {
            Some(items) => self.of(items, &format!("{words} item")),
            None => TypeRef::Any,
        };
        TypeRef::List(Box::new(item))
    }

    fn object(&mut self, mut schema: Schema<'a>, place: &Place<'a>, words: &str) -> TypeRef {
        // Beside properties, a choice of more: what it adds is kept as it comes.
        let more = schema.variants.iter().any(|variant| {
            variant.reference().is_some()
                || Schema::read(variant, self).is_some_and(|variant| variant.is_structural())
        });
        // A parent with a discriminator stands for its children, which have more fields than it knows.
        if (more || schema.discriminator.is_some())
            && !matches!(schema.additional, Additional::Typed(_))
        {
            schema.additional = Additional::Free;
        }
        if schema.properties.is_empty() {
            let value = match &schema.additional {
                Additional::Typed(value) => self.of(value, &format!("{words} value")),
                _ => TypeRef::Any,
            };
            return TypeRef::Map(Box::new(value));
        }
        self.named(schema, place, words, TypeKind::Struct(Struct::default()))
    }

    fn enumeration(
        &mut self,
        schema: &Schema<'a>,
        values: &[Json],
        place: &Place<'a>,
        words: &str,
        nullable: &mut bool,
    ) -> TypeRef {
        *nullable |= values.contains(&Json::Null);
        let mut distinct: Vec<Json> = Vec::new();
        for value in values.iter().filter(|value| !value.is_null()) {
            if distinct.len() <= VARIANTS_MAX && !distinct.contains(value) {
                distinct.push(value.clone());
            }
        }
        let all = |is: fn(&Json) -> bool| distinct.iter().all(is);
        let named = |value: &Json| value.is_string() || value.is_i64();
        // Unquoted words of YAML that are no texts there, in an enum of texts.
        let texts = schema.kind.as_deref() == Some("string");
        if distinct.is_empty() {
            TypeRef::Any
        } else if all(Json::is_boolean) {
            TypeRef::Bool
        } else if distinct.len() <= VARIANTS_MAX && all(named) && (!texts || all(Json::is_string)) {
            self.named(schema.clone(), place, words, TypeKind::Enum(distinct))
        } else if all(Json::is_string) {
            TypeRef::String
        } else if all(Json::is_i64) {
            TypeRef::I64
        } else if all(Json::is_number) {
            TypeRef::F64
        } else {
            TypeRef::Any
        }
    }

    /// One of several types.
    fn choice(&mut self, mut schema: Schema<'a>, place: &Place<'a>, words: &str) -> TypeRef {
        if matches!(schema.additional, Additional::Free) && schema.variants.len() > 1 {
            let two = place.at("oneOf").items().count() != schema.variants.len()
                && place.at("anyOf").items().count() != schema.variants.len();
            if two {
                return TypeRef::Any;
            }
        }
        // Simple values need no name for the choice between them, if one type reads them all.
        let simple: Option<Vec<TypeRef>> = schema
            .variants
            .iter()
            .map(|variant| self.simple(variant))
            .collect();
        if let Some(mut simple) = simple {
            simple.dedup();
            match simple.as_slice() {
                [only] => return only.clone(),
                all if all.iter().all(is_text) => return TypeRef::String,
                _ => {}
            }
        }
        if let [only] = schema.variants.as_slice() {
            let only = only.clone();
            return self.of(&only, words);
        }
        schema.variants.truncate(VARIANTS_MAX);
        let union = Union {
            variants: Vec::new(),
            discriminator: None,
        };
        self.named(schema, place, words, TypeKind::Union(union))
    }

    /// The type of a schema that is a plain value, found without looking further.
    fn simple(&mut self, variant: &Place<'a>) -> Option<TypeRef> {
        let place = self.resolve(variant)?;
        let schema = Schema::read(&place, self)?;
        let kind = schema.kind.as_deref()?;
        let texts = schema
            .values
            .as_ref()
            .is_some_and(|values| values.iter().all(Json::is_string));
        match kind {
            "string" if texts => Some(TypeRef::String),
            "string" | "boolean" | "integer" | "number" if schema.values.is_none() => {
                Some(self.of_schema(schema, &place, ""))
            }
            _ => None,
        }
    }

    /// A new entry of the table, to be filled later.
    fn named(
        &mut self,
        schema: Schema<'a>,
        place: &Place<'a>,
        words: &str,
        kind: TypeKind,
    ) -> TypeRef {
        let id = TypeId(self.table.len());
        let pointer = if self.document.pointer(&place.pointer).is_some() {
            format!("#{}", place.pointer)
        } else {
            String::new()
        };
        self.table.push(TypeDef {
            words: words.to_owned(),
            pointer,
            doc: if schema.doc.is_empty() {
                schema.title.clone()
            } else {
                schema.doc.clone()
            },
            kind,
        });
        self.waiting.push_back(Waiting {
            id,
            schema: Box::new(schema),
        });
        TypeRef::Named(id)
    }

    fn fill(&mut self, waiting: Waiting<'a>) {
        let Waiting { id, schema } = waiting;
        let words = self.table[id.0].words.clone();
        let kind = match &self.table[id.0].kind {
            TypeKind::Enum(_) => return,
            TypeKind::Struct(_) => TypeKind::Struct(self.structure(&schema, &words)),
            TypeKind::Union(_) => TypeKind::Union(self.union(*schema, &words)),
        };
        self.table[id.0].kind = kind;
    }

    fn structure(&mut self, schema: &Schema<'a>, words: &str) -> Struct {
        let mut fields = Vec::with_capacity(schema.properties.len());
        for (name, place) in &schema.properties {
            let words = inherited_words(place).unwrap_or_else(|| format!("{words} {name}"));
            let (ty, said) = match place.reference() {
                Some(reference) => (self.component(reference), Schema::default()),
                None => match Schema::read(place, self) {
                    Some(read) => {
                        let known = self.placed.get(&place.pointer).cloned();
                        let ty =
                            known.unwrap_or_else(|| self.of_schema(read.clone(), place, &words));
                        (ty, read)
                    }
                    None => (TypeRef::Any, Schema::default()),
                },
            };
            fields.push(Field {
                name: (*name).to_owned(),
                doc: said.doc,
                ty,
                required: schema.required.contains(*name),
                read_only: said.read_only,
                write_only: said.write_only,
                deprecated: said.deprecated,
                default: said.default,
            });
        }
        let extra = match &schema.additional {
            Additional::Unsaid | Additional::Forbidden => None,
            Additional::Free => Some(TypeRef::Any),
            Additional::Typed(value) => Some(self.of(value, &format!("{words} value"))),
        };
        Struct { fields, extra }
    }

    fn union(&mut self, schema: Schema<'a>, words: &str) -> Union {
        let mut variants: Vec<Variant> = Vec::new();
        let mut ranks = Vec::new();
        for (index, place) in schema.variants.iter().enumerate() {
            let reference = place.reference();
            let name = match reference {
                Some(reference) => {
                    let name = reference.rsplit('/').next().unwrap_or_default();
                    crate::spec::unescape(name).into_owned()
                }
                None => place
                    .node
                    .member("title")
                    .and_then(Node::as_str)
                    .map_or_else(|| format!("option {}", index + 1), str::to_owned),
            };
            let mut ty = self.of(place, &format!("{words} {name}"));
            if let TypeRef::Nullable(inner) = ty {
                ty = *inner;
            }
            let tags = tags(schema.discriminator.as_ref(), reference, &name);
            if let Some(same) = variants.iter_mut().find(|variant| variant.ty == ty) {
                same.tags.extend(tags);
                continue;
            }
            ranks.push(self.rank(place, &ty));
            variants.push(Variant {
                words: name,
                ty,
                tags,
            });
        }
        // The sort is stable: among equals, the order of the document.
        let mut order: Vec<usize> = (0..variants.len()).collect();
        order.sort_by_key(|index| ranks[*index]);
        let mut variants: Vec<Option<Variant>> = variants.into_iter().map(Some).collect();
        Union {
            variants: order
                .into_iter()
                .filter_map(|index| variants[index].take())
                .collect(),
            discriminator: schema
                .discriminator
                .map(|discriminator| discriminator.property_name),
        }
    }

    /// The order in which the variants of a union are tried: what takes fewer values, and keeps more of them, comes first.
    fn rank(&self, place: &Place<'a>, ty: &TypeRef) -> (u8, usize, usize) {
        let fields = || {
            let place = self.resolve(place)?;
            let schema = Schema::read(&place, self)?;
            Some((schema.required.len(), schema.properties.len()))
        };
        match ty {
            TypeRef::Bool => (0, 0, 0),
            TypeRef::I32 | TypeRef::U32 => (1, 0, 0),
            TypeRef::I64 => (2, 0, 0),
            TypeRef::U64 => (3, 0, 0),
            TypeRef::F64 => (4, 0, 0),
            TypeRef::Uuid => (5, 0, 0),
            TypeRef::DateTime => (6, 0, 0),
            TypeRef::Date => (7, 0, 0),
            TypeRef::Decimal => (8, 0, 0),
            TypeRef::Named(id) => match &self.table[id.0].kind {
                TypeKind::Enum(_) => (4, 0, 0),
                TypeKind::Struct(_) => {
                    let (required, all) = fields().unwrap_or_default();
                    (20, usize::MAX - required, usize::MAX - all)
                }
                TypeKind::Union(_) => (21, 0, 0),
            },
            TypeRef::List(_) => (19, 0, 0),
            TypeRef::Map(_) => (22, 0, 0),
            TypeRef::Base64 => (28, 0, 0),
            TypeRef::File | TypeRef::String => (29, 0, 0),
            TypeRef::Any | TypeRef::Boxed(_) | TypeRef::Nullable(_) => (30, 0, 0),
        }
    }
}

/// Words for what stands in a component of this section, such as `NotFound` for `/components/responses/NotFound/content/…`.
pub(super) fn component_words(place: &Place<'_>, section: &str) -> Option<String> {
    let rest = place.pointer.strip_prefix("/components/")?;
    let name = rest.strip_prefix(section)?.strip_prefix('/')?;
    let name = name.split('/').next().unwrap_or_default();
    Some(crate::spec::unescape(name).into_owned())
}

/// Words for a property that stands in a component, or in a part of its `allOf`: others inherit it from there.
fn inherited_words(place: &Place<'_>) -> Option<String> {
    let (holder, name) = place.pointer.rsplit_once("/properties/")?;
    let mut segments = holder.strip_prefix("/components/schemas/")?.split('/');
    let component = segments.next()?;
    let mut plain = true;
    while let Some(segment) = segments.next() {
        plain &= segment == "allOf" && segments.next().is_some();
    }
    let name = plain.then_some(name)?;
    let (component, name) = (
        crate::spec::unescape(component),
        crate::spec::unescape(name),
    );
    Some(format!("{component} {name}"))
}

/// Whether every value of it is a text.
fn is_text(ty: &TypeRef) -> bool {
    matches!(
        ty,
        TypeRef::String | TypeRef::Uuid | TypeRef::Date | TypeRef::DateTime | TypeRef::Base64
    )
}

/// The values of the discriminator that mean a variant: those of the mapping, else its name.
fn tags(
    discriminator: Option<&openapiv3::Discriminator>,
    reference: Option<&str>,
    name: &str,
) -> Vec<String> {
    let Some(discriminator) = discriminator else {
        return Vec::new();
    };
    let mapped: Vec<String> = discriminator
        .mapping
        .iter()
        .filter(|(_, target)| Some(target.as_str()) == reference || target.as_str() == name)
        .map(|(tag, _)| tag.clone())
        .collect();
    if mapped.is_empty() && reference.is_some() {
        vec![name.to_owned()]
    } else {
        mapped
    }
}
