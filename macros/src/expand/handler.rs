//! A free function: a type of its name, by which `memgen::main!` finds its route.

use proc_macro2::TokenStream;
use quote::quote;

use super::{named, route};
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
    let named = named(visibility, ident);
    quote! {
        #named

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
