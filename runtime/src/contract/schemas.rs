//! Types whose schema is the document's: `schemas!`.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

/// Implements `JsonSchema` for types by the schemas of a document: each at its JSON pointer, or by the component of the same name.
///
/// ```
/// const DOCUMENT: &str = r##"{"components": {"schemas": {
///     "Pet": {"type": "object", "properties": {"name": {"type": "string"}, "owner": {"$ref": "#/components/schemas/Owner"}}},
///     "Owner": {"type": "object", "properties": {"pets": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}}}
/// }}}"##;
///
/// pub struct Pet;
/// pub struct Name;
/// memgen::schemas!(DOCUMENT, { Pet, Name => "#/components/schemas/Pet/properties/name" });
///
/// let schema = schemars::schema_for!(Pet);
/// assert_eq!(schema.as_value()["properties"]["name"]["type"], "string");
/// assert!(schema.as_value()["$defs"]["Owner"].is_object());
/// assert_eq!(schemars::schema_for!(Name).as_value()["type"], "string");
/// ```
#[macro_export]
macro_rules! schemas {
    ($document:expr, { $($type:ident $(=> $pointer:literal)?),* $(,)? }) => { $(
        $crate::schemas!(@one $document, $type $(, $pointer)?);
    )* };
    (@one $document:expr, $type:ident) => {
        $crate::schemas!(@at $document, $type, ::std::concat!("#/components/schemas/", ::std::stringify!($type)));
    };
    (@one $document:expr, $type:ident, $pointer:literal) => {
        $crate::schemas!(@at $document, $type, $pointer);
    };
    (@at $document:expr, $type:ident, $pointer:expr) => {
        impl $crate::private::schemars::JsonSchema for $type {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                $crate::contract::schemas::name($pointer).into()
            }

            fn json_schema(generator: &mut $crate::private::schemars::SchemaGenerator) -> $crate::private::schemars::Schema {
                $crate::contract::schemas::schema($document, $pointer, generator)
            }
        }
    };
}

/// Where the schemas of a document are.
const COMPONENTS: &str = "#/components/schemas/";

/// The name of a schema: the last part of its pointer.
#[doc(hidden)]
#[must_use]
pub fn name(pointer: &str) -> String {
    match pointer.strip_prefix(COMPONENTS) {
        Some(name) if !name.contains('/') => name.replace("~1", "/").replace("~0", "~"),
        _ => pointer.trim_start_matches("#/").replace(['/', '~'], "_"),
    }
}

/// The schema at a pointer; those that it refers to become definitions of the generator.
///
/// # Panics
/// If the document is no JSON, or has nothing there: `memgen generate` writes both.
#[doc(hidden)]
#[must_use]
pub fn schema(document: &str, pointer: &str, generator: &mut SchemaGenerator) -> Schema {
    let document: Value = serde_json::from_str(document)
        .unwrap_or_else(|error| panic!("the embedded document is no JSON: {error}"));
    let found = document.pointer(pointer.trim_start_matches('#'));
    let found = found.unwrap_or_else(|| panic!("the embedded document has no `{pointer}`"));
    let mut schema = found.clone();
    define(&document, &mut schema, generator);
    Schema::try_from(schema).unwrap_or_else(|_| Schema::default())
}

/// Turns references into those of the generator, and defines what they mean. A type that holds itself is met when it is defined already.
fn define(document: &Value, value: &mut Value, generator: &mut SchemaGenerator) {
    match value {
        Value::Array(items) => {
            for item in items {
                define(document, item, generator);
            }
        }
        Value::Object(object) => {
            let reference = object.get("$ref").and_then(Value::as_str);
            if let Some(pointer) = reference.map(str::to_owned)
                && let Some(found) = document.pointer(pointer.trim_start_matches('#'))
            {
                let name = name(&pointer);
                if !generator.definitions().contains_key(&name) {
                    generator
                        .definitions_mut()
                        .insert(name.clone(), Value::Bool(true));
                    let mut found = found.clone();
                    define(document, &mut found, generator);
                    generator.definitions_mut().insert(name.clone(), found);
                }
                let path = generator.settings().definitions_path.clone();
                let name = name.replace('~', "~0").replace('/', "~1");
                object.insert("$ref".to_owned(), format!("#{path}/{name}").into());
            }
            for (name, inner) in object.iter_mut() {
                if name != "$ref" {
                    define(document, inner, generator);
                }
            }
        }
        _ => {}
    }
}
