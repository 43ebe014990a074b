//! One entity inside a command: it may exist or not, and may be changed, made or removed.

use std::sync::Arc;

use crate::{memory::Stored, state::State};

/// The entity of a command's key, as it will be when all writes before it are done.
///
/// What a command leaves here becomes one record of the changelog, if it differs from before and if the reply is
/// not an error.
///
/// ```
/// use memgen::prelude::*;
///
/// #[stateful_api(path = "/counter")]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// pub struct Counter {
///     #[key]
///     pub name: String,
///     pub count: u64,
/// }
///
/// #[handlers]
/// impl Counter {
///     #[post("/{name}/increment")]
///     fn increment(entry: &mut Entry<Self>) -> Json<Counter> {
///         let name = entry.key().clone();
///         let counter = entry.or_insert_with(|| Counter { name, count: 0 });
///         counter.count += 1;
///         Json(counter.clone())
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Entry<S: State> {
    key: S::Key,
    before: Option<Arc<Stored<S>>>,
    edit: Edit<S>,
}

/// What a command did to its entity.
#[derive(Debug)]
pub(crate) enum Edit<S> {
    Untouched,
    Set(S),
    Removed,
}

impl<S: State> Entry<S> {
    pub(crate) fn new(key: S::Key, before: Option<Arc<Stored<S>>>) -> Self {
        Self {
            key,
            before,
            edit: Edit::Untouched,
        }
    }

    /// The key, and what the command did.
    pub(crate) fn into_parts(self) -> (S::Key, Edit<S>) {
        (self.key, self.edit)
    }

    /// The key, whether or not an entity has it.
    pub fn key(&self) -> &S::Key {
        &self.key
    }

    /// The entity as it is now in this command, if there is one.
    pub fn get(&self) -> Option<&S> {
        match &self.edit {
            Edit::Untouched => self.before.as_ref().map(|stored| &stored.state),
            Edit::Set(state) => Some(state),
            Edit::Removed => None,
        }
    }

    /// The entity, to be changed, if there is one.
    pub fn get_mut(&mut self) -> Option<&mut S> {
        if let (Edit::Untouched, Some(before)) = (&self.edit, &self.before) {
            self.edit = Edit::Set(before.state.clone());
        }
        match &mut self.edit {
            Edit::Set(state) => Some(state),
            Edit::Untouched | Edit::Removed => None,
        }
    }

    /// Creates or replaces the entity. Its key fields must be [`key`](Self::key); otherwise the command fails with 500.
    pub fn insert(&mut self, state: S) -> &mut S {
        self.edit = Edit::Set(state);
        match &mut self.edit {
            Edit::Set(state) => state,
            Edit::Untouched | Edit::Removed => unreachable!("it was set on the line above"),
        }
    }

    /// The entity, made by `make` if there is none.
    ///
    /// # Panics
    /// Only if `make` does.
    pub fn or_insert_with(&mut self, make: impl FnOnce() -> S) -> &mut S {
        if self.get().is_none() {
            return self.insert(make());
        }
        self.get_mut().expect("get found it on the line above")
    }

    /// Removes the entity. Returns it if there was one.
    pub fn remove(&mut self) -> Option<S> {
        let removed = self.get().cloned();
        self.edit = if self.before.is_some() {
            Edit::Removed
        } else {
            Edit::Untouched
        };
        removed
    }
}
