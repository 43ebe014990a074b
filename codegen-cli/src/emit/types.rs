//! `types.rs`: what requests and replies hold.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    casing::{self, Casing},
    doc,
    named::Named,
    text::{Text, literal},
};
use crate::{
    model::{Field, Struct, TypeDef, TypeId, TypeKind, TypeRef, Union, Variant},
    names::{Scope, ident, type_name, value_name},
};

/// The most lines of a type's description.
const TYPE_LINES: usize = 6;
/// The most lines of a field's description.
const FIELD_LINES: usize = 3;
/// The most parameters of an operation that are described at such length: the document has the rest, and the lists of many are repeated at each operation.
const PARAMETERS_MAX: usize = 8;
/// The most types in one file. If there are more, there is a file for each initial letter: so none moves when one is added.
const TYPES_MAX: usize = 300;

/// What a struct derives.
pub(super) const DERIVES: [&str; 5] = ["Clone", "Debug", "PartialEq", "Serialize", "Deserialize"];

/// The files of the types: path within `generated`, and text.
pub(super) fn files(named: &Named<'_>) -> Vec<(String, String)> {
    let mut sorted: BTreeMap<&str, TypeId> = BTreeMap::new();
    for index in 0..named.api.types.len() {
        sorted.insert(named.of(TypeId(index)), TypeId(index));
    }
    let about = "What requests and replies hold.";
    // The prelude comes with the types: so one that is called as something in the prelude hides it wherever both are used.
    let prelude = "pub use memgen::contract::prelude::*;";
    if sorted.len() <= TYPES_MAX {
        let mut text = super::file(about, &[prelude]);
        shard(named, &sorted.into_values().collect::<Vec<_>>(), &mut text);
        return vec![("types.rs".to_owned(), text.finish())];
    }
    let mut shards: BTreeMap<char, Vec<TypeId>> = BTreeMap::new();
    for (name, id) in sorted {
        let letter = name.chars().next().unwrap_or('a').to_ascii_lowercase();
        shards.entry(letter).or_default().push(id);
    }
    let mut text = super::file(&format!("{about} One file for each initial letter."), &[]);
    text.gap();
    for letter in shards.keys() {
        text.line(&format!("mod {letter};"));
    }
    text.gap();
    for letter in shards.keys() {
        text.line(&format!("pub use self::{letter}::*;"));
    }
    // Of two names that come by `*`, none would win.
    for name in named.hiding() {
        let letter = name.chars().next().unwrap_or('a').to_ascii_lowercase();
        text.line(&format!("pub use self::{letter}::{name};"));
    }
    text.line(prelude);
    let mut files = vec![("types.rs".to_owned(), text.finish())];
    for (letter, ids) in shards {
        let about = format!("Types from {}.", letter.to_ascii_uppercase());
        let mut text = super::file(&about, &["use super::*;"]);
        shard(named, &ids, &mut text);
        files.push((format!("types/{letter}.rs"), text.finish()));
    }
    files
}

fn shard(named: &Named<'_>, ids: &[TypeId], text: &mut Text) {
    for id in ids {
        item(named, *id, &named.api.types[id.0], text);
    }
    let schemas = ids.iter().filter_map(|id| {
        let (name, pointer) = (named.of(*id), &named.api.types[id.0].pointer);
        match pointer.strip_prefix("#/components/schemas/") {
            // A schema that was made of several stands nowhere.
            None if pointer.is_empty() => None,
            Some(component) if component == name => Some(name.to_owned()),
            _ => Some(format!("{name} => {}", literal(pointer))),
        }
    });
    let schemas: Vec<String> = schemas.collect();
    if schemas.is_empty() {
        return;
    }
    text.gap();
    text.open("memgen::schemas!(crate::generated::DOCUMENT, {");
    text.filled(&schemas);
    text.close("});");
}

fn item(named: &Named<'_>, id: TypeId, def: &TypeDef, text: &mut Text) {
    let name = named.of(id);
    text.gap();
    let doc = doc::lines(&def.doc, TYPE_LINES);
    match &def.kind {
        TypeKind::Struct(inner) => {
            let mut derives = DERIVES.to_vec();
            if named.is_empty(id) {
                derives.insert(2, "Default");
            }
            structure(named, name, &doc, &derives, inner, text);
        }
        TypeKind::Enum(values) => enumeration(name, &doc, values, text),
        TypeKind::Union(union) => choice(named, name, &doc, union, text),
    }
}

impl Field {
    /// Whether it is there in requests and in replies: what a server fills in is not in a request, and what a client keeps secret is not in a reply.
    pub(super) const fn is_always(&self) -> bool {
        self.required && !self.read_only && !self.write_only
    }
}

/// A struct for these fields; the parameters of an operation are one, too.
pub(super) fn structure(
    named: &Named<'_>,
    name: &str,
    doc: &[String],
    derives: &[&str],
    inner: &Struct,
    text: &mut Text,
) {
    let mut scope = Scope::default();
    let rust: Vec<String> = inner
        .fields
        .iter()
        .map(|field| scope.claim(value_name(&field.name)))
        .collect();
    let pairs = rust
        .iter()
        .zip(&inner.fields)
        .map(|(name, field)| (name.as_str(), field.name.as_str()));
    let casing = casing::of_fields(&pairs);
    text.doc(doc);
    text.line(&format!("#[derive({})]", derives.join(", ")));
    text.attribute("serde", &casing.attribute());
    let extra = inner.extra.as_ref();
    if inner.fields.is_empty() && extra.is_none() {
        text.line(&format!("pub struct {name} {{}}"));
        return;
    }
    let writes = derives.contains(&"Serialize");
    text.open(&format!("pub struct {name} {{"));
    let lines = if writes || inner.fields.len() <= PARAMETERS_MAX {
        FIELD_LINES
    } else {
        1
    };
    for (name, field) in rust.iter().zip(&inner.fields) {
        text.doc(&about(field, lines));
        property(named, name, field, casing, writes, text);
    }
    if let Some(ty) = extra {
        let name = ident(&scope.claim("extra".to_owned()));
        text.line("/// All other properties.");
        text.line("#[serde(flatten)]");
        text.field(
            &format!("pub {name}"),
            &format!("BTreeMap<String, {}>", named.ty(ty)),
        );
    }
    text.close("}");
}

/// What the document says of a field, in so many lines, and what its type does not show.
fn about(field: &Field, lines: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if field.read_only {
        notes.push("Only in replies.".to_owned());
    }
    if field.write_only {
        notes.push("Only in requests.".to_owned());
    }
    if field.deprecated {
        notes.push("Deprecated.".to_owned());
    }
    if let Some(default) = &field.default {
        let default = default.to_string();
        let hard = |one: char| one == '`' || one.is_control() || doc::is_hidden(one);
        if default.chars().count() < 60 && !default.contains(hard) {
            notes.push(format!("If it is left out: `{default}`."));
        }
    }
    let mut doc = doc::lines(&field.doc, lines);
    if !notes.is_empty() {
        doc::paragraph(&mut doc, notes.join(" "));
    }
    doc
}

fn property(
    named: &Named<'_>,
    name: &str,
    field: &Field,
    casing: Casing,
    writes: bool,
    text: &mut Text,
) {
    let mut serde = Vec::new();
    let identifier = ident(name);
    // serde knows a raw name without its sign.
    let seen = identifier.trim_start_matches("r#");
    if casing.field(seen) != field.name {
        serde.push(format!("rename = {}", literal(&field.name)));
    }
    let ty = if field.is_always() {
        named.ty(&field.ty)
    } else if writes && matches!(field.ty, TypeRef::Nullable(_) | TypeRef::Any) {
        // Left out, and null: two things. Any value may be null by itself.
        serde.push("default".to_owned());
        serde.push("with = \"nullable\"".to_owned());
        serde.push("skip_serializing_if = \"Option::is_none\"".to_owned());
        format!("Option<{}>", named.ty(&field.ty))
    } else {
        if writes {
            serde.push("skip_serializing_if = \"Option::is_none\"".to_owned());
        }
        named.optional(&field.ty)
    };
    text.attribute("serde", &serde);
    text.field(&format!("pub {identifier}"), &ty);
}

fn enumeration(name: &str, doc: &[String], values: &[Value], text: &mut Text) {
    let mut scope = Scope::of_variants();
    let variants: Vec<(String, &Value)> = values
        .iter()
        .map(|value| {
            let words = match value {
                Value::String(text) => text.clone(),
                number => format!("value {}", number.to_string().replace('-', "minus ")),
            };
            (scope.claim(type_name(&words)), value)
        })
        .collect();
    if !values.iter().all(Value::is_string) {
        text.open("memgen::values! {");
        text.doc(doc);
        text.open(&format!("pub enum {name} {{"));
        for (name, value) in variants {
            let value = value.as_str().map_or_else(|| value.to_string(), literal);
            text.line(&format!("{name} = {value},"));
        }
        text.close("}");
        text.close("}");
        return;
    }
    let pairs = variants
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    let casing = casing::of_variants(&pairs);
    text.doc(doc);
    text.line(
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]",
    );
    text.attribute("serde", &casing.attribute());
    text.open(&format!("pub enum {name} {{"));
    for (name, value) in pairs {
        if casing.variant(name) != value {
            text.attribute("serde", &[format!("rename = {}", literal(value))]);
        }
        text.line(&format!("{name},"));
    }
    text.close("}");
}

fn choice(named: &Named<'_>, name: &str, doc: &[String], union: &Union, text: &mut Text) {
    let mut scope = Scope::of_variants();
    let variants: Vec<(String, String, &[String])> = union
        .variants
        .iter()
        .map(|variant| {
            let name = scope.claim(type_name(&variant_words(name, variant)));
            (name, named.ty(&variant.ty), variant.tags.as_slice())
        })
        .collect();
    let tagged = variants.iter().any(|(_, _, tags)| !tags.is_empty());
    if let Some(property) = union.discriminator.as_ref().filter(|_| tagged) {
        text.open("memgen::union! {");
        text.doc(doc);
        text.open(&format!("pub enum {name} by {} {{", literal(property)));
        for (name, ty, tags) in variants {
            let tags: Vec<String> = tags.iter().map(|tag| literal(tag)).collect();
            let tags = if tags.is_empty() {
                String::new()
            } else {
                format!(" = {}", tags.join(" | "))
            };
            text.variant(&name, &[&ty], &tags);
        }
        text.close("}");
        text.close("}");
        return;
    }
    text.doc(doc);
    text.line(&format!("#[derive({})]", DERIVES.join(", ")));
    text.line("#[serde(untagged)]");
    text.open(&format!("pub enum {name} {{"));
    for (name, ty, _) in variants {
        text.variant(&name, &[&ty], "");
    }
    text.close("}");
}

/// What a variant is called: by its type, or by what is new in its words.
fn variant_words(union: &str, variant: &Variant) -> String {
    let by_type = match &variant.ty {
        TypeRef::Bool => "boolean",
        TypeRef::I32 | TypeRef::I64 | TypeRef::U32 | TypeRef::U64 => "integer",
        TypeRef::F64 | TypeRef::Decimal => "number",
        TypeRef::String => "text",
        TypeRef::List(_) => "list",
        TypeRef::Map(_) => "map",
        TypeRef::Any => "other",
        TypeRef::Uuid => "uuid",
        TypeRef::Date => "date",
        TypeRef::DateTime => "date time",
        TypeRef::Base64 | TypeRef::File => "bytes",
        TypeRef::Named(_) | TypeRef::Boxed(_) | TypeRef::Nullable(_) => {
            let name = type_name(&variant.words);
            let rest = name.strip_prefix(union).unwrap_or_default();
            return if rest.starts_with(|first: char| first.is_ascii_uppercase()) {
                rest.to_owned()
            } else {
                name
            };
        }
    };
    by_type.to_owned()
}
