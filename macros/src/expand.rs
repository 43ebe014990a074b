//! Tokens -> tree -> model -> tokens. What is emitted is thin: it names the user's types and calls the runtime.
//!
//! All paths are absolute, so that nothing in the user's scope is captured, and locals have the macro's own hygiene.

mod argument;
mod event;
mod external;
mod handler;
mod handlers;
mod reply;
mod route;
mod state;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Item, ItemFn, ItemImpl, Visibility};

use crate::{
    ast::{FreeItem, HandlersItem, StateItem},
    attr::{EventAttr, ExternalAttr, RouteAttr, StateAttr},
    check,
    errors::Errors,
    fallback,
};

/// `#[stateful_api(…)]`
pub(crate) fn stateful_api(attr: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(parsed) = syn::parse2::<Item>(item.clone()) else {
        return wrong_place(item, "`#[stateful_api(…)]` belongs on a struct");
    };
    let errors = Errors::new();
    let parsed = StateItem::read(parsed);
    let attr = StateAttr::parse(attr, !parsed.has_entity(), &errors);
    let model = check::state(attr, &parsed, &errors);
    let item = &parsed.item;
    match (model, errors.finish()) {
        (Some(model), None) => {
            let expansion = state::expand(&model);
            quote!(#item #expansion)
        }
        (_, errors) => {
            let stub = fallback::state(&parsed);
            quote!(#errors #item #stub)
        }
    }
}

/// `#[external(…)]`
pub(crate) fn external(attr: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(parsed) = syn::parse2::<Item>(item.clone()) else {
        return wrong_place(item, "`#[external(…)]` belongs on a struct");
    };
    let errors = Errors::new();
    let mut parsed = StateItem::read(parsed);
    let attr = ExternalAttr::parse(attr, &errors);
    let model = check::external(attr, &mut parsed, &errors);
    let item = &parsed.item;
    match (model, errors.finish()) {
        (Some(model), None) => {
            let expansion = external::expand(&model);
            quote!(#item #expansion)
        }
        (_, errors) => {
            let stub = fallback::external(&parsed);
            quote!(#errors #item #stub)
        }
    }
}

/// `#[handlers]`
#[allow(clippy::needless_pass_by_value, reason = "the form of all macros")]
pub(crate) fn handlers(attr: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    if !attr.is_empty() {
        errors.push(
            attr,
            "`#[handlers]` takes no arguments: the path stands in `#[stateful_api(path = \"/…\")]`",
        );
    }
    let Ok(parsed) = syn::parse2::<ItemImpl>(item.clone()) else {
        errors.push(
            first(&item),
            "`#[handlers]` belongs on the `impl` block of a state: `#[handlers] impl Vertex { … }`",
        );
        let errors = errors.finish();
        return quote!(#errors #item);
    };
    let parsed = HandlersItem::read(parsed, &errors);
    let model = check::handlers(&parsed, &errors);
    match (model, errors.finish()) {
        (Some(model), None) => {
            let (item, expansion) = (&parsed.item, handlers::expand(&model));
            quote!(#item #expansion)
        }
        (model, errors) => {
            let item = fallback::with_unused(&parsed);
            // The routes that are right stay, so that what they name is in use and checked.
            let expansion = model.as_ref().map(handlers::expand);
            quote!(#errors #item #expansion)
        }
    }
}

/// `#[handler(method, "/path")]`
#[allow(clippy::needless_pass_by_value, reason = "the form of all macros")]
pub(crate) fn handler(attr: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(parsed) = syn::parse2::<ItemFn>(item.clone()) else {
        return wrong_place(
            item,
            "`#[handler(get, \"/…\")]` belongs on a free function; methods of a state have `#[get(\"/…\")]` inside `#[handlers] impl`",
        );
    };
    let errors = Errors::new();
    let parsed = FreeItem::read(parsed);
    let route = RouteAttr::of_function(&attr, &errors);
    let model = check::free_handler(&parsed, route, &errors);
    let item = &parsed.item;
    match (model, errors.finish()) {
        (Some(model), None) => {
            let expansion = handler::expand(&model);
            quote!(#item #expansion)
        }
        (_, errors) => mistaken(&errors, item, fallback::free_handler),
    }
}

/// A free function after a mistake, and what stands in for the part that it is not.
fn mistaken(
    errors: &impl ToTokens,
    item: &ItemFn,
    stub: fn(&ItemFn) -> TokenStream,
) -> TokenStream {
    let function = fallback::unused_function(item);
    // A method has no place beside it for a stub.
    let stub = item.sig.receiver().is_none().then(|| stub(item));
    quote!(#errors #function #stub)
}

/// The type of a function's name, by which `memgen::main!` finds it. Braces: it is a type only, so the function keeps its name as a value.
pub(crate) fn named(visibility: &Visibility, ident: &Ident) -> TokenStream {
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        #[automatically_derived]
        impl ::memgen::private::Part for #ident {}
    }
}

/// `#[on_event(topic = "…")]`
pub(crate) fn on_event(attr: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(parsed) = syn::parse2::<ItemFn>(item.clone()) else {
        return wrong_place(
            item,
            "`#[on_event(topic = \"…\")]` belongs on a free function: `fn sighted(entry: &mut Entry<Place>, sighting: Sighting)`",
        );
    };
    let errors = Errors::new();
    let mut parsed = FreeItem::read(parsed);
    if parsed.item.sig.asyncness.is_some() {
        // A transaction may have nothing to wait for.
        let allowed = syn::parse_quote!(#[allow(clippy::unused_async)]);
        parsed.item.attrs.push(allowed);
    }
    let attr = EventAttr::parse(attr, &errors);
    let model = check::event_handler(&parsed, attr, &errors);
    let item = &parsed.item;
    match (model, errors.finish()) {
        (Some(model), None) => {
            let expansion = event::expand(&model);
            quote!(#item #expansion)
        }
        (_, errors) => mistaken(&errors, item, fallback::event_handler),
    }
}

/// An item of another kind survives as it is.
fn wrong_place(item: TokenStream, message: &str) -> TokenStream {
    let error = syn::Error::new_spanned(first(&item), message).to_compile_error();
    let item = match syn::parse2::<Item>(item.clone()) {
        Ok(parsed) => StateItem::read(parsed).item.into_token_stream(),
        Err(_) => item,
    };
    quote!(#error #item)
}

/// The first tokens of an item that are not an attribute.
fn first(item: &TokenStream) -> TokenStream {
    let mut tokens = item.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            proc_macro2::TokenTree::Punct(pound) if pound.as_char() == '#' => {
                tokens.next();
            }
            token => return token.into_token_stream(),
        }
    }
    TokenStream::new()
}

/// A place in the user's code for tokens of the macro: errors point there, and nothing there is captured.
fn at(tokens: &impl syn::spanned::Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}

/// A local of the macro: it can't be seen by, or hide, what the user wrote.
fn local(name: &str) -> proc_macro2::Ident {
    proc_macro2::Ident::new(name, Span::mixed_site())
}

#[cfg(test)]
mod tests;
