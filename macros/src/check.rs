//! Rules across the parts of an item: our tree -> the model, or mistakes.

mod event;
mod external;
mod function;
mod migrations;
mod state;

pub(crate) use event::event_handler;
pub(crate) use external::external;
pub(crate) use function::free_handler;
pub(crate) use state::state;

use proc_macro2::Ident;
use quote::{ToTokens as _, quote};
use syn::{ItemImpl, Type, ext::IdentExt as _};

use crate::{
    ast::{self, HandlersItem},
    errors::Errors,
    model::{Handlers, Route},
    types,
};

/// The form of a `#[handlers]` block.
const IMPL_FORM: &str =
    "`#[handlers] impl Vertex { #[get(\"/{id}/degree\")] fn degree(&self) -> usize { … } }`";

/// The routes that are right. Whether all are is in `errors`.
pub(crate) fn handlers(item: &HandlersItem, errors: &Errors) -> Option<Handlers> {
    let state = implementing(&item.item, errors);
    for (attribute, what) in &item.misplaced {
        errors.push(
            attribute,
            format!("a route belongs on a function, and this is {what}"),
        );
    }
    if item.methods.is_empty() && item.misplaced.is_empty() && errors.count() == 0 {
        let place = &item.item.self_ty;
        errors.push(place, format!("no function here has a route: {IMPL_FORM}"));
    }
    let this = item.item.self_ty.as_ref();
    let mut routes: Vec<Route> = Vec::new();
    let mut taken: Vec<(String, Ident)> = Vec::new();
    for method in &item.methods {
        let route = ast::one_route(&method.routes, errors);
        if let Some(route) = &route {
            let shape = format!("{} {}", route.method.word(), route.path.shape());
            match taken.iter().find(|(other, _)| *other == shape) {
                // The same route under different conditions is one route at a time.
                Some(_) if !method.function.cfg.is_empty() => {}
                Some((_, first)) => errors.push(
                    &route.path.literal,
                    format!("`{first}` answers this route already: write another path or method"),
                ),
                None => taken.push((shape, method.function.signature.ident.unraw())),
            }
        }
        routes.extend(function::method(this, &method.function, route, errors));
    }
    Some(Handlers {
        state: state?,
        routes,
    })
}

/// The type of an inherent `impl` block.
fn implementing(item: &ItemImpl, errors: &Errors) -> Option<Type> {
    let before = errors.count();
    if let Some((path, keyword)) = &item.trait_ {
        errors.push(
            quote!(#path #keyword),
            format!("handlers are no methods of a trait: {IMPL_FORM}"),
        );
    }
    if !item.generics.params.is_empty() {
        errors.push(
            &item.generics,
            format!("a state is one type, without generics: {IMPL_FORM}"),
        );
    }
    if let Some(token) = &item.unsafety {
        errors.push(token, format!("handlers are safe: {IMPL_FORM}"));
    }
    let this = types::bare(&item.self_ty);
    match this {
        Type::Path(path) if path.qself.is_none() => {
            let generic = path
                .path
                .segments
                .iter()
                .find(|segment| !segment.arguments.is_none());
            if let Some(segment) = generic
                && item.generics.params.is_empty()
            {
                errors.push(
                    segment,
                    format!("a state is one type, without generics: {IMPL_FORM}"),
                );
            }
        }
        other => errors.push(
            other.to_token_stream(),
            format!("this is not the name of a state: {IMPL_FORM}"),
        ),
    }
    (errors.count() == before).then(|| this.clone())
}
