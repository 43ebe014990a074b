//! `impl Handlers`, and what only the compiler can check: the routes against the path and the key of the state.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;

use super::route;
use crate::{
    model::{Handlers, Route, Source},
    near::nearest,
};

pub(super) fn expand(handlers: &Handlers) -> TokenStream {
    let Handlers { state, routes } = handlers;
    let list = if routes.is_empty() {
        quote!(::std::vec::Vec::new())
    } else {
        let routes = routes.iter().map(|route| {
            let cfg = &route.cfg;
            let route = route::expand(route, Some(state));
            quote!(#(#cfg)* #route)
        });
        quote!(::std::vec::Vec::from([#(#routes),*]))
    };
    let assertions = routes.iter().map(|route| assertions(state, route));
    quote! {
        #[automatically_derived]
        impl ::memgen::private::Handlers for #state {
            fn routes() -> ::std::vec::Vec<::memgen::private::Route> {
                #list
            }
        }

        #(#assertions)*
    }
}

/// Evaluated at compile time, on the user's own literal and names.
fn assertions(state: &syn::Type, route: &Route) -> TokenStream {
    let Route {
        path,
        arguments,
        cfg,
        ..
    } = route;
    let definition = quote!(&<#state as ::memgen::State>::DEFINITION);
    let literal = &path.literal;
    let span = literal.span();
    let all = quote_spanned! {span=>
        ::core::assert!(
            ::memgen::private::argument::has_all_key_fields(#definition, #literal),
            "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
        )
    };
    let names: Vec<String> = arguments
        .iter()
        .map(|argument| argument.ident.unraw().to_string())
        .collect();
    let in_state_path = arguments
        .iter()
        .filter(|argument| argument.source == Source::StatePath)
        .map(|argument| {
            let name = argument.ident.unraw().to_string();
            let near: Vec<&str> = path.placeholders.iter().map(String::as_str).collect();
            let hint = match nearest(&name, &near) {
                Some(near) => format!("is `{{{near}}}` meant?"),
                None => format!(
                    "add `/{{{name}}}` to the path, or take it from a `Query<T>` or a `Json<T>`"
                ),
            };
            let message = format!("`{name}` is no placeholder of the path: {hint}");
            quote_spanned!(argument.ident.span()=>
                ::core::assert!(::memgen::private::argument::is_placeholder(#definition, #name), "{}", #message)
            )
        });
    let unbound = path.placeholders.iter().filter(|name| !names.contains(name)).map(|name| {
        let unused: Vec<&str> =
            names.iter().filter(|name| !path.has(name)).map(String::as_str).collect();
        let hint = match nearest(name, &unused) {
            Some(near) => format!("is `{near}` meant?"),
            None => format!("add an argument, like `{name}: u32`"),
        };
        let message = format!("`{{{name}}}` is neither a key field nor an argument of its name: {hint}");
        quote_spanned!(span=> ::core::assert!(::memgen::private::argument::is_key_field(#definition, #name), "{}", #message))
    });
    let others = in_state_path
        .chain(unbound)
        .map(|check| quote!(#(#cfg)* const _: () = #check;));
    quote! {
        #(#cfg)*
        const _: () = #all;
        #(#others)*
    }
}
