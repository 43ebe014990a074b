//! A free function: a type of its name, by which `memgen::main!` finds its route.

use proc_macro2::TokenStream;
use quote::quote;

use super::route;
use crate::model::{FreeHandler, Source};

pub(super) fn expand(handler: &FreeHandler) -> TokenStream {
    let FreeHandler { visibility, route } = handler;
    let ident = &route.ident;
    let states = route
        .arguments
        .iter()
        .filter_map(|argument| match &argument.source {
            Source::Store(state) => Some(quote!(<#state as ::memgen::State>::DEFINITION.name)),
            _ => None,
        });
    let states: Vec<_> = states.collect();
    let states = if states.is_empty() {
        quote!(::std::vec::Vec::new())
    } else {
        quote!(::std::vec::Vec::from([#(#states),*]))
    };
    let route = route::expand(route, None);
    // Braces: the struct is a type only, so the function keeps its name as a value.
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        #[automatically_derived]
        impl ::memgen::private::Part for #ident {}

        #[automatically_derived]
        impl ::memgen::private::FreeHandler for #ident {
            fn route() -> ::memgen::private::Route {
                #route
            }

            fn states() -> ::std::vec::Vec<&'static str> {
                #states
            }
        }
    }
}
