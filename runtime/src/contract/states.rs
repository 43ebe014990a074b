//! What the runtime does by itself with the states of a document: create, list, get, replace, update, delete.

pub(crate) mod decision;
pub(crate) mod fill;
pub(crate) mod instance;
pub(crate) mod made;
pub(crate) mod projection;
pub(crate) mod schema;
