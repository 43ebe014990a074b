//! What handlers have of an external state; the views of a node.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    fmt,
    ops::RangeBounds,
    sync::Arc,
    time::Duration,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use tokio::time::timeout;

use super::{AnyView, ExternalState, ExternalStatus, view::View};
use crate::{
    mailbox::RETRY_AFTER_SECONDS,
    node::Context,
    problem::{Problem, Result},
};

/// What this node has of an external state: a copy that follows its topic.
///
/// It is an argument of commands, transactions, free handlers and functions of events. All it does is look, and what it shows is what this node has seen by then: it is no part of what
/// transactions are serialized by, and two looks at once may differ.
///
/// ```
/// use memgen::prelude::*;
///
/// /// How much of a currency is worth one euro, as others say in the topic `rates`.
/// #[external(topic = "rates", path = "/rate", crud(get))]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// pub struct Rate {
///     #[key]
///     pub currency: String,
///     pub per_euro: f64,
/// }
///
/// /// What somebody has, in euros.
/// #[stateful_api(path = "/purse", crud(get))]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// pub struct Purse {
///     #[key]
///     pub owner: String,
///     pub euros: f64,
/// }
///
/// #[handlers]
/// impl Purse {
///     /// Puts some of a currency into it.
///     #[post("/{owner}/{currency}/{amount}")]
///     fn add(
///         entry: &mut Entry<Self>,
///         rates: External<Rate>,
///         currency: String,
///         amount: f64,
///     ) -> Result<NoContent> {
///         let rate = rates.get(&currency).ok_or_else(|| NotFound::new("no such currency"))?;
///         let owner = entry.key().clone();
///         entry.or_insert_with(|| Self { owner, euros: 0.0 }).euros += amount / rate.per_euro;
///         Ok(NoContent)
///     }
/// }
/// # fn main() {}
/// ```
pub struct External<R: ExternalState>(Arc<View<R>>);

impl<R: ExternalState> Clone for External<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: ExternalState> fmt::Debug for External<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "External<{}>", R::DEFINITION.name)
    }
}

impl<R: ExternalState> External<R> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &R::Key) -> Option<Arc<R>> {
        self.0.find(key).map(|(value, _)| value)
    }

    /// The values of a range of keys, in order. They are not of one moment: what comes or changes meanwhile may be among them.
    ///
    /// ```
    /// # use memgen::prelude::*;
    /// # #[external(topic = "rates")]
    /// # #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    /// # pub struct Rate { #[key] pub currency: String, pub per_euro: f64 }
    /// /// How many currencies there are from this one on.
    /// #[handler(get, "/currencies/{first}")]
    /// async fn currencies(rates: External<Rate>, first: String) -> Json<usize> {
    ///     Json(rates.range(first..).count())
    /// }
    /// # fn main() {}
    /// ```
    pub fn range<'v, B>(&'v self, keys: B) -> impl Iterator<Item = Arc<R>> + 'v
    where
        B: RangeBounds<R::Key> + 'v,
    {
        self.0.range(keys).map(|(_, value)| value)
    }

    /// How old what it shows may be: so long ago this node has seen all that the topic had.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        // Whoever has it has waited until it was filled.
        self.0.age().unwrap_or_default()
    }
}

impl<R: ExternalState> FromRequestParts<Context> for External<R> {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, context: &Context) -> Result<Self> {
        let node = &context.0;
        let view = node.externals.view::<R>()?;
        if !view.is_filled() {
            let filled = timeout(node.config.limits.request_timeout, view.filled()).await;
            filled.map_err(|_| {
                let (name, topic) = (R::DEFINITION.name, R::DEFINITION.topic);
                let what = format!("`{name}` is still being read of the topic `{topic}`");
                Problem::unavailable(what, RETRY_AFTER_SECONDS)
            })?;
        }
        Ok(Self(view))
    }
}

/// A view, with and without its type.
pub(crate) struct Kept {
    typed: Arc<dyn Any + Send + Sync>,
    view: Arc<dyn AnyView>,
}

impl Kept {
    pub(super) fn new<R: ExternalState>(view: Arc<View<R>>) -> Self {
        Self {
            typed: view.clone(),
            view,
        }
    }
}

/// The views of a node.
#[derive(Default)]
pub struct Externals(BTreeMap<TypeId, Kept>);

impl fmt::Debug for Externals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Externals").field(&self.0.len()).finish()
    }
}

impl Externals {
    /// Those views.
    pub(crate) fn new(views: impl IntoIterator<Item = (TypeId, Kept)>) -> Self {
        Self(views.into_iter().collect())
    }

    /// The view of `R`.
    ///
    /// # Errors
    /// If it is no part of the service.
    pub(crate) fn view<R: ExternalState>(&self) -> Result<Arc<View<R>>> {
        let kept = self.0.get(&TypeId::of::<R>());
        let typed = kept.and_then(|kept| kept.typed.clone().downcast().ok());
        typed.ok_or_else(|| {
            let name = R::DEFINITION.name;
            Problem::internal(format!("`{name}` is not a part of the service"))
        })
    }

    /// An argument of a function of events, which is not called before all views are filled.
    ///
    /// # Panics
    /// If it is no part of the service, which is checked when it starts.
    #[must_use]
    pub fn argument<R: ExternalState>(&self) -> External<R> {
        let view = self.view::<R>();
        External(view.expect("the parts of a service were checked at the start"))
    }

    /// As `/status` shows them, by name.
    pub(crate) fn status(&self) -> Vec<ExternalStatus> {
        let mut all: Vec<_> = self.0.values().map(|kept| kept.view.status()).collect();
        all.sort_by_key(ExternalStatus::name);
        all
    }

    /// How many values all of them have, and their bytes.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (usize, i64)> {
        self.0.values().map(|kept| kept.view.size())
    }

    /// Waits until each shows all that its topic had when it began. `say` is told what it waits for, and at the end that it does not any more.
    pub(crate) async fn filled(&self, say: impl Fn(Option<String>)) {
        let mut has_said = false;
        for view in self.0.values().map(|kept| &kept.view) {
            if !view.is_filled() {
                has_said = true;
                say(Some(format!(
                    "the external state `{}`",
                    view.status().name()
                )));
                view.filled().await;
            }
        }
        if has_said {
            say(None);
        }
    }
}
