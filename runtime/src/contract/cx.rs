//! What a handler of the document knows besides its arguments.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::security::Principal;
use crate::{call::Caller, node::Node, state::State, store::Store};

/// The circumstances of a request: who asks, and the states of the service.
#[derive(Clone)]
pub struct Cx {
    pub(crate) node: Arc<Node>,
    pub(crate) caller: Caller,
    pub(crate) principal: Option<Principal>,
    pub(crate) headers: HeaderMap,
    pub(crate) operation: Arc<str>,
}

impl std::fmt::Debug for Cx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx")
            .field("operation", &self.operation)
            .field("caller", &self.caller)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl Cx {
    /// The entities of a state, wherever their owners are.
    #[must_use]
    pub fn store<S: State>(&self) -> Store<S> {
        Store::of(self.node.clone())
    }

    /// Which client the request came from.
    #[must_use]
    pub const fn caller(&self) -> Caller {
        self.caller
    }

    /// Who asks, if the operation demands to know.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The headers of the request.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The one of several media types that the client likes best: the first one, where it does not care. `None` if it accepts none of them, which is what
    /// [`Problem::not_acceptable`](crate::Problem::not_acceptable) is for.
    ///
    /// ```
    /// # use memgen::contract::prelude::*;
    /// fn is_table(cx: &Cx) -> bool {
    ///     cx.preferred(&["application/json", "text/csv"]) == Some("text/csv")
    /// }
    /// ```
    #[must_use]
    pub fn preferred<'o>(&self, offered: &[&'o str]) -> Option<&'o str> {
        super::accept::preferred(&self.headers, offered)
    }

    /// The operation's id in the document.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
    }
}
