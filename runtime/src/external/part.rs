//! An external state as a part of a service.

use std::sync::Arc;

use axum::http::Method;
use futures_util::future::BoxFuture;

use super::{ExternalState, folded::Folded, follow::Follows, http};
use crate::{
    layout::AskedState,
    node::Node,
    openapi::OpenApi,
    process::{Verified, Verify},
    replica::ReplayError,
    route::Endpoint,
    service::{AsPart, Starting},
    state::{Crud, Definition},
    stream::Consume,
    watched::Watched,
};

/// It has an input and perhaps routes, and no log of its own.
pub(crate) struct PartOfExternal<R: ExternalState>(Arc<Follows<R>>);

impl<R: ExternalState> Default for PartOfExternal<R> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

#[allow(private_interfaces)]
impl<R: ExternalState> AsPart for PartOfExternal<R> {
    fn name(&self) -> &'static str {
        R::DEFINITION.name
    }

    fn definition(&self) -> Option<&'static Definition> {
        None
    }

    fn asked(&self) -> Option<AskedState> {
        None
    }

    fn needs(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |operation: &Crud| match operation {
            Crud::Get => Some(Endpoint::new(
                Method::GET,
                R::DEFINITION.item,
                http::get::<R>,
            )),
            Crud::List => Some(Endpoint::new(
                Method::GET,
                R::DEFINITION.collection,
                http::list::<R>,
            )),
            // Others write it: the macro lets no more through.
            _ => None,
        };
        R::DEFINITION.crud.iter().filter_map(endpoint).collect()
    }

    fn peer_endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    fn describe(&self, document: &mut OpenApi) {
        if !R::DEFINITION.crud.is_empty() {
            document.state::<Folded<R>>();
        }
    }

    fn start(&self, _: &mut Starting<'_>, _: &mut Node) -> Vec<Box<dyn Watched>> {
        Vec::new()
    }

    fn input(&self) -> Option<Arc<dyn Consume>> {
        Some(self.0.clone())
    }

    fn verify<'v>(&self, _: Verify<'v>) -> Option<BoxFuture<'v, Result<Verified, ReplayError>>> {
        None
    }
}
