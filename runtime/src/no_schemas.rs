//! What stands for the module `schemas` without the feature `avro`: there are none.

use std::sync::Arc;

use bytes::Bytes;

use crate::config::Config;

/// Nothing.
#[derive(Debug, Default)]
pub(crate) struct Schemas(());

/// What no type is read or written by.
#[derive(Debug)]
pub(crate) enum Codec {}

/// What is missing.
pub(crate) const MISSING: &str = "Avro needs the feature `avro` of memgen";

#[allow(
    clippy::unused_self,
    clippy::unused_async,
    reason = "with the feature there are schemas"
)]
impl Schemas {
    /// There are none.
    ///
    /// # Errors
    /// If there should be some.
    pub(crate) fn open(config: &Config) -> Result<Arc<Self>, String> {
        match config.schema_registry {
            None => Ok(Arc::default()),
            Some(_) => Err(format!("`--schema-registry` is set: {MISSING}")),
        }
    }

    /// No.
    pub(crate) fn are_there(&self) -> bool {
        false
    }

    /// Nothing is needed.
    pub(crate) async fn bring(&self, _: impl Iterator<Item = &Bytes>, _: impl Fn(Option<String>)) {}

    /// Never.
    ///
    /// # Errors
    /// Never.
    pub(crate) async fn of_json(&self, codec: &Codec, _: &str, _: &[u8]) -> Result<Bytes, String> {
        match *codec {}
    }

    /// A build with the feature has left this in the outbox.
    ///
    /// # Errors
    /// Always.
    pub(crate) async fn frame(&self, _: &str, _: &Bytes, _: &[u8]) -> Result<Bytes, String> {
        Err(MISSING.to_owned())
    }
}
