//! What is right: nothing past this point reports a mistake.

use proc_macro2::Ident;
use syn::{Attribute, LitStr, Type, Visibility};

use crate::{
    symbols::{Ack, Crud, Format, Method},
    template::Template,
};

/// A struct that is a state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ident: Ident,
    pub(crate) doc: String,
    /// The path of the collection.
    pub(crate) path: Template,
    pub(crate) topic: String,
    pub(crate) partitions: u32,
    pub(crate) global: bool,
    pub(crate) crud: Vec<Crud>,
    /// At most one of each log.
    pub(crate) ack: Vec<Ack>,
    /// At least one.
    pub(crate) key: Vec<KeyField>,
    /// Names of key fields; empty if all decide.
    pub(crate) partition_by: Vec<String>,
    /// The value that a document describes.
    pub(crate) entity: Option<EntityField>,
    /// The types that values may have had before.
    pub(crate) migrations: Vec<Type>,
}

/// A struct whose values others write.
#[derive(Debug)]
pub(crate) struct External {
    /// What it has of a state.
    pub(crate) state: State,
    /// Not bytes.
    pub(crate) format: Format,
}

/// The field that is not the key.
#[derive(Debug)]
pub(crate) struct EntityField {
    pub(crate) ident: Ident,
    /// As it stands in JSON.
    pub(crate) json_name: String,
    pub(crate) ty: Type,
}

/// A field that is a part of the key.
#[derive(Debug)]
pub(crate) struct KeyField {
    pub(crate) ident: Ident,
    /// Without `r#`: as it stands in the path.
    pub(crate) name: String,
    /// As it stands in JSON.
    pub(crate) json_name: String,
    pub(crate) ty: Type,
}

/// The routes of an `impl` block.
#[derive(Debug)]
pub(crate) struct Handlers {
    pub(crate) state: Type,
    pub(crate) routes: Vec<Route>,
}

/// A function that answers a route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: Template,
    pub(crate) ident: Ident,
    pub(crate) doc: String,
    /// `#[cfg(…)]`: the route is there only if the function is.
    pub(crate) cfg: Vec<Attribute>,
    pub(crate) form: Form,
    pub(crate) arguments: Vec<Argument>,
    /// `None` is `()`.
    pub(crate) reply: Option<Type>,
}

/// What a function works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `&self`
    Query,
    /// `&mut self`
    Update,
    /// `&mut Entry<Self>`
    Command,
    /// A free function.
    Free { asynchronous: bool },
    /// A free function with `&mut Tx` or `&Tx`.
    Transaction,
}

/// An argument other than `self` and the entry.
#[derive(Debug)]
pub(crate) struct Argument {
    /// Its place among the arguments.
    pub(crate) index: usize,
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) source: Source,
}

/// Where an argument comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A placeholder of the path.
    Path,
    /// A placeholder that can only be in the path of the state, which the `impl` block does not show.
    StatePath,
    /// The body: the `T` of `Json<T>`.
    Json(Type),
    /// The `T` of `Query<T>`.
    Query(Type),
    /// The `S` of `Store<S>`.
    Store(Type),
    /// The `R` of `External<R>`.
    External(Type),
    /// `&mut Tx`, or `&Tx`.
    Tx { mutable: bool },
    /// Anything else that can be had from the head of the request.
    Part,
}

/// A function that is a part of the service by its name.
#[derive(Debug)]
pub(crate) struct FreeHandler {
    pub(crate) visibility: Visibility,
    pub(crate) route: Route,
}

/// A function that takes events in.
#[derive(Debug)]
pub(crate) struct EventHandler {
    pub(crate) visibility: Visibility,
    pub(crate) ident: Ident,
    pub(crate) topic: LitStr,
    pub(crate) dead_letters: Option<LitStr>,
    /// The fields of the event that are the key; the record's key if `None`.
    pub(crate) key: Option<Vec<Vec<Ident>>>,
    pub(crate) format: Format,
    pub(crate) target: EventTarget,
    pub(crate) event: Type,
    /// The `R` of each `External<R>` behind it.
    pub(crate) externals: Vec<Type>,
    /// `None` is `()`.
    pub(crate) reply: Option<Type>,
}

/// What an event changes.
#[derive(Debug)]
pub(crate) enum EventTarget {
    /// The entity of its key, of this state.
    Entry(Box<Type>),
    Transaction,
}

/// A literal with another text at the same place.
pub(crate) fn at_place_of(literal: &LitStr, text: &str) -> LitStr {
    LitStr::new(text, literal.span())
}
