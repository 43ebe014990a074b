//! A name for each thing of the model, given once for all files.

use std::collections::HashMap;

use super::{KnownTag, operations::payloads};
use crate::{
    model::{Api, Decision, Operation, Resource, TypeId, TypeKind, TypeRef},
    names::{HIDDEN_TYPES, Scope, ident, is_keyword, type_name, value_name},
};

/// The model and its names.
pub(super) struct Named<'a> {
    pub(super) api: &'a Api,
    types: Vec<String>,
    /// Which types have a value without any saying.
    empty: Vec<bool>,
    /// The struct of each resource.
    pub(super) states: Vec<String>,
    /// The tags with operations that users write, in the order of the document; then those that are gone.
    pub(super) tags: Vec<Tag<'a>>,
}

/// A file of operations.
pub(super) struct Tag<'a> {
    /// As the document has it.
    pub(super) name: &'a str,
    /// The module of the trait, and of the handlers.
    pub(super) module: String,
    /// The trait.
    pub(super) api: String,
    /// None if the tag is gone.
    pub(super) operations: Vec<NamedOperation<'a>>,
}

impl Tag<'_> {
    /// Whether only the user's file is left of it.
    pub(super) const fn is_gone(&self) -> bool {
        self.operations.is_empty()
    }
}

/// An operation that users write, and the names of what belongs to it.
pub(super) struct NamedOperation<'a> {
    pub(super) operation: &'a Operation,
    pub(super) method: String,
    /// Empty if there are none.
    pub(super) parameters: String,
    /// Empty if it needs no type of its own.
    pub(super) body: String,
    pub(super) reply: String,
}

/// Modules that generated crates have, and names that are no good for files.
const MODULES: [&str; 11] = [
    "types",
    "states",
    "generated",
    "handlers",
    "security",
    "main",
    "mod",
    "lib",
    "memgen",
    "std",
    "core",
];

/// The longest name of a file, without what the generator adds.
const MODULE_BYTES_MAX: usize = 100;

impl<'a> Named<'a> {
    pub(super) fn new(api: &'a Api, known: &'a [KnownTag]) -> Self {
        let mut scope = Scope::of_types();
        let mut types = vec![String::new(); api.types.len()];
        name_components(api, &mut scope, &mut types);
        let states = api
            .resources
            .iter()
            .map(|resource| scope.claim_type(&format!("{} state", resource.words)))
            .collect();
        let mut tags = name_operations(api, &mut scope);
        for KnownTag { module, api } in known {
            if !tags.iter().any(|tag| tag.module == *module) {
                tags.push(Tag {
                    name: module,
                    module: module.clone(),
                    api: api.clone(),
                    operations: Vec::new(),
                });
            }
        }
        // What stands inside something comes last, and takes no name from the others.
        for (name, def) in types.iter_mut().zip(&api.types) {
            if name.is_empty() {
                *name = scope.claim_inner_type(&def.words);
            }
        }
        Self {
            api,
            empty: empty(api),
            types,
            states,
            tags,
        }
    }

    /// The name of a type.
    pub(super) fn of(&self, id: TypeId) -> &str {
        self.types.get(id.0).map_or("Value", String::as_str)
    }

    /// The types whose names hide some of the prelude.
    pub(super) fn hiding(&self) -> Vec<&str> {
        HIDDEN_TYPES
            .into_iter()
            .filter(|name| self.types.iter().any(|known| known == name))
            .collect()
    }

    /// A reference to a type.
    pub(super) fn ty(&self, ty: &TypeRef) -> String {
        match ty {
            TypeRef::Named(id) => self.of(*id).to_owned(),
            TypeRef::Boxed(inner) => format!("Box<{}>", self.ty(inner)),
            TypeRef::Nullable(inner) => format!("Option<{}>", self.ty(inner)),
            TypeRef::List(inner) => format!("Vec<{}>", self.ty(inner)),
            TypeRef::Map(inner) => format!("BTreeMap<String, {}>", self.ty(inner)),
            TypeRef::Any => "Value".to_owned(),
            TypeRef::Bool => "bool".to_owned(),
            TypeRef::I32 => "i32".to_owned(),
            TypeRef::I64 => "i64".to_owned(),
            TypeRef::U32 => "u32".to_owned(),
            TypeRef::U64 => "u64".to_owned(),
            TypeRef::F64 => "f64".to_owned(),
            TypeRef::Decimal => "Decimal".to_owned(),
            TypeRef::String => "String".to_owned(),
            TypeRef::Uuid => "Uuid".to_owned(),
            TypeRef::Date => "Date".to_owned(),
            TypeRef::DateTime => "DateTime".to_owned(),
            TypeRef::Base64 => "Base64".to_owned(),
            TypeRef::File => "File".to_owned(),
        }
    }

    /// The same where a value may be left out.
    pub(super) fn optional(&self, ty: &TypeRef) -> String {
        match ty {
            TypeRef::Nullable(_) => self.ty(ty),
            _ => format!("Option<{}>", self.ty(ty)),
        }
    }

    /// Whether a type has a value without any saying, so that `Default` can be derived.
    pub(super) fn is_empty(&self, id: TypeId) -> bool {
        self.empty[id.0]
    }

    /// The names of the key fields of a resource.
    pub(super) fn key_fields(resource: &Resource, scope: &mut Scope) -> Vec<String> {
        resource
            .key
            .iter()
            .map(|field| ident(&scope.claim(value_name(&field.parameter))))
            .collect()
    }
}

/// Components whose names are names of Rust already keep them.
fn name_components(api: &Api, scope: &mut Scope, types: &mut [String]) {
    let component = |pointer: &str| {
        pointer
            .strip_prefix("#/components/schemas/")
            .is_some_and(|rest| !rest.contains('/'))
    };
    for same in [true, false] {
        for (name, def) in types.iter_mut().zip(&api.types) {
            if component(&def.pointer) && (type_name(&def.words) == def.words) == same {
                *name = scope.claim_type(&def.words);
            }
        }
    }
}

fn name_operations<'a>(api: &'a Api, scope: &mut Scope) -> Vec<Tag<'a>> {
    let mut tags: Vec<Tag<'a>> = Vec::new();
    let mut of_tag: HashMap<&str, usize> = HashMap::new();
    let mut methods: Vec<Scope> = Vec::new();
    let mut modules = Scope::default();
    for name in MODULES {
        modules.claim(name.to_owned());
    }
    let handlers = api
        .operations
        .iter()
        .filter(|operation| operation.decision == Decision::Handler);
    for operation in handlers {
        let index = *of_tag.entry(&operation.tag).or_insert_with(|| {
            let mut module = value_name(&operation.tag);
            module.truncate(MODULE_BYTES_MAX);
            // A file is called as the module is, and no file is called `r#type.rs`.
            if is_keyword(&module) || MODULES.contains(&module.as_str()) {
                module.push_str("_api");
            }
            tags.push(Tag {
                name: &operation.tag,
                api: scope.claim_type(&format!("{} api", operation.tag)),
                module: modules.claim(module),
                operations: Vec::new(),
            });
            let mut names = Scope::default();
            // The trait has one of its own.
            names.claim("operations".to_owned());
            methods.push(names);
            tags.len() - 1
        });
        let base = type_name(&operation.id);
        let mut part = |what: &str| scope.claim_type(&format!("{base} {what}"));
        tags[index].operations.push(NamedOperation {
            operation,
            method: ident(&methods[index].claim(value_name(&operation.id))),
            parameters: if operation.parameters.is_empty() {
                String::new()
            } else {
                part("parameters")
            },
            body: match &operation.body {
                Some(body) if payloads(body).len() > 1 => part("body"),
                _ => String::new(),
            },
            reply: part("reply"),
        });
    }
    tags
}

/// Which types can derive `Default`: structs, and what they must hold, too.
fn empty(api: &Api) -> Vec<bool> {
    let mut empty: Vec<bool> = api
        .types
        .iter()
        .map(|def| matches!(def.kind, TypeKind::Struct(_)))
        .collect();
    loop {
        let mut changed = false;
        for (index, def) in api.types.iter().enumerate() {
            let TypeKind::Struct(inner) = &def.kind else {
                continue;
            };
            let full = inner
                .fields
                .iter()
                .any(|field| field.is_always() && !has_empty(&field.ty, &|id: TypeId| empty[id.0]));
            if empty[index] && full {
                empty[index] = false;
                changed = true;
            }
        }
        if !changed {
            return empty;
        }
    }
}

fn has_empty(ty: &TypeRef, empty: &dyn Fn(TypeId) -> bool) -> bool {
    match ty {
        TypeRef::Named(id) => empty(*id),
        // A type that must hold itself has no value at all.
        TypeRef::Boxed(_) | TypeRef::Date | TypeRef::DateTime | TypeRef::File | TypeRef::Uuid => {
            false
        }
        _ => true,
    }
}
