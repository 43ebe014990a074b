//! What a registry is asked, wherever it is.

use super::{folder::Folder, http::Http};
use crate::config::SchemaRegistry;

/// Where schemas are kept.
#[derive(Debug)]
pub(super) enum Registry {
    Http(Box<Http>),
    Folder(Folder),
}

/// Why a registry did not do what it was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may later.
    Away(String),
    /// It won't.
    Refused(String),
}

impl Registry {
    pub(super) fn open(choice: SchemaRegistry) -> Self {
        match choice {
            SchemaRegistry::Http(url) => Self::Http(Box::new(Http::new(&url))),
            SchemaRegistry::Folder(path) => Self::Folder(Folder::new(path)),
        }
    }

    /// The text of the schema with this id.
    pub(super) async fn schema(&self, id: u32) -> Result<String, Failure> {
        match self {
            Self::Http(http) => http.schema(id).await,
            Self::Folder(folder) => folder.schema(id),
        }
    }

    /// The id of a schema, which is registered for the subject if it is not yet.
    pub(super) async fn register(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        match self {
            Self::Http(http) => http.register(subject, schema).await,
            Self::Folder(folder) => folder.register(schema),
        }
    }
}
