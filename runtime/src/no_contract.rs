//! What stands for the module `contract` without the feature of that name: nobody can make one.

use std::{convert::Infallible, future::Ready, sync::Arc};

use axum::{body::Body, http::Request, response::Response};

use crate::{call::Via, node::Node};

/// Nothing.
pub(crate) enum Contract {}

/// Nothing.
pub(crate) struct Prepared {
    pub(crate) published: serde_json::Value,
    never: Infallible,
}

/// Nothing.
pub(crate) struct Served(Infallible);

impl Contract {
    pub(crate) fn prepare(self) -> Result<Prepared, Vec<String>> {
        match self {}
    }
}

impl Prepared {
    pub(crate) fn has(&self, _: &str) -> bool {
        match self.never {}
    }

    pub(crate) fn serve(self: &Arc<Self>, _: &Arc<Node>, _: Via) -> Served {
        Served(self.never)
    }
}

impl Served {
    pub(crate) fn answer(&self, _: Request<Body>) -> Ready<Response> {
        match self.0 {}
    }
}
