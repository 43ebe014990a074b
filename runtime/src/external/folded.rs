//! An external type as a state, to all that reads.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::ExternalState;
use crate::{
    key::{KeyError, KeyReader, KeyWriter},
    state::{Definition, State},
};

/// It has keys, pages and a description as a state has. Nobody outside can name it, so nobody gets a store or an entry of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub(crate) struct Folded<R: ExternalState>(pub(super) R);

impl<R: ExternalState> State for Folded<R> {
    type Key = R::Key;

    const DEFINITION: Definition = R::DEFINITION;

    fn key(&self) -> R::Key {
        self.0.key()
    }

    fn write_key(key: &R::Key, writer: &mut KeyWriter<'_>) {
        R::write_key(key, writer);
    }

    fn read_key(reader: &mut KeyReader<'_>) -> Result<R::Key, KeyError> {
        R::read_key(reader)
    }
}

/// The schema is that of the type itself.
impl<R: ExternalState> JsonSchema for Folded<R> {
    fn inline_schema() -> bool {
        R::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        R::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        R::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        R::json_schema(generator)
    }
}
