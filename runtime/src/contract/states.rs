//! What the runtime does by itself with the states of a document: create, list, get, replace, update, delete.
//!
//! [`States`] reads the generator's decisions (`x-memgen`), and makes a [`StateOperation`] of each operation on a state: what of a request
//! passes into the entity, where its key comes from, and what the reply shows of it. All of that is made once, at start-up.

mod actions;
mod change;
mod decision;
mod fill;
pub(super) mod instance;
mod made;
mod operation;
mod page;
mod patch;
mod pattern;
pub(super) mod projection;
mod reference;
mod success;

pub(crate) use self::{
    actions::{StateActions, actions},
    operation::{Check, StateOperation, StateRequest, States},
};
use super::schema;
