//! The rules of an external state: those of a state, and what only a state can have.

use quote::ToTokens as _;

use super::state::state;
use crate::{
    ast::{StateItem, StateShape},
    attr::ExternalAttr,
    errors::Errors,
    model::External,
};

/// The external state, if nothing is wrong with it. Attributes that only a state can have are reported, and taken away.
pub(crate) fn external(
    attr: ExternalAttr,
    item: &mut StateItem,
    errors: &Errors,
) -> Option<External> {
    for attribute in item.migrate.drain(..) {
        errors.push(
            attribute,
            "others write the values, and `#[serde(default)]` and `#[serde(alias = \"…\")]` read what is older: remove `#[migrate]`",
        );
    }
    if let StateShape::Named { fields, .. } = &mut item.shape {
        for field in fields {
            if let Some(attribute) = field.partition_by.first() {
                errors.push(
                    attribute.to_token_stream(),
                    "whoever writes the topic decides where a key is: remove `#[partition_by]`",
                );
            }
            if let Some(attribute) = field.entity.first() {
                errors.push(
                    attribute.to_token_stream(),
                    "a document describes states that it changes, and this one others change: remove `#[entity]`",
                );
            }
            field.partition_by.clear();
            field.entity.clear();
        }
    }
    let format = attr.format;
    let state = state(attr.state, item, errors)?;
    Some(External { state, format })
}
