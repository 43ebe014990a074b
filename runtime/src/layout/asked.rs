//! A type that can be asked: its layout, and the type itself without its name.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    compare::compare,
    discover::{Described, discover},
    finding::Finding,
    node::Layout,
    oracle::{Unread, ask},
};

/// The layout of a type, and what asks it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) layout: Layout,
    reads: fn(&Value) -> Result<Value, Unread>,
}

impl Asked {
    /// Finds out how values of `T` are laid out.
    pub(crate) fn of<T: Serialize + DeserializeOwned + schemars::JsonSchema>() -> Self {
        let settings = schemars::generate::SchemaSettings::default();
        let schema = |settings: schemars::generate::SchemaSettings| {
            let schema = settings.into_generator().into_root_schema_for::<T>();
            schema.to_value()
        };
        let described = Described {
            written: schema(settings.clone().for_serialize()),
            read: schema(settings.for_deserialize()),
        };
        Self {
            layout: discover(described, Some(&ask::<T>)),
            reads: ask::<T>,
        }
    }

    /// What the type can't read of the values of an older layout. Places are named from `name` on.
    pub(crate) fn compare(&self, name: &str, old: &Layout) -> Vec<Finding> {
        compare(name, old, &self.layout, &self.reads)
    }
}
