//! A service that keeps a document: operations are decoded, checked and answered by what OpenAPI says of them.

mod entity;
mod states;

pub use entity::Entity;
