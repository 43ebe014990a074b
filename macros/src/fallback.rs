//! Stubs for what was wrong: the build fails with the mistakes, and with nothing that only follows from them.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{ImplItem, ItemFn, ItemImpl, ext::IdentExt as _};

use crate::{
    ast::{HandlersItem, StateItem, StateShape},
    expand::named,
};

/// The name of a struct that a stub can be made for.
fn stub_of(item: &StateItem) -> Option<&Ident> {
    match &item.shape {
        StateShape::Named {
            ident, generics, ..
        } => generics.params.is_empty().then_some(ident),
        StateShape::Other { ident, .. } => ident.as_ref(),
    }
}

/// `impl State` with an empty key.
pub(crate) fn state(item: &StateItem) -> Option<TokenStream> {
    let ident = stub_of(item)?;
    let key = empty_key(ident);
    Some(quote! {
        #[automatically_derived]
        impl ::memgen::private::Part for #ident {}

        #[automatically_derived]
        impl ::memgen::State for #ident {
            #key
        }
    })
}

/// A key of nothing.
fn empty_key(ident: &Ident) -> TokenStream {
    let name = ident.unraw().to_string();
    quote! {
        type Key = ();

        const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
            name: #name,
            doc: "",
            collection: "/",
            item: "/",
            topic: "",
            partitions: 1,
            global: false,
            ack: &[],
            crud: &[],
            key_fields: &[],
            key_names: &[],
            partition_by: &[],
            entity: ::core::option::Option::None,
        };

        fn key(&self) {}

        fn write_key(_: &(), _: &mut ::memgen::key::KeyWriter<'_>) {}

        fn read_key(
            _: &mut ::memgen::key::KeyReader<'_>,
        ) -> ::core::result::Result<(), ::memgen::key::KeyError> {
            ::core::result::Result::Ok(())
        }
    }
}

/// `impl ExternalState` with an empty key.
pub(crate) fn external(item: &StateItem) -> Option<TokenStream> {
    let ident = stub_of(item)?;
    let key = empty_key(ident);
    Some(quote! {
        #[automatically_derived]
        impl ::memgen::private::Part for #ident {}

        #[automatically_derived]
        impl ::memgen::ExternalState for #ident {
            #key

            fn values() -> ::memgen::private::Values<Self> {
                ::memgen::private::Values::json()
            }
        }
    })
}

/// The block, with its functions excused from being in use: their routes may be missing.
pub(crate) fn with_unused(item: &HandlersItem) -> ItemImpl {
    let mut block = item.item.clone();
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            function.attrs.push(syn::parse_quote!(#[allow(dead_code)]));
        }
    }
    block
}

/// The function, excused from being in use.
pub(crate) fn unused_function(function: &ItemFn) -> ItemFn {
    let mut function = function.clone();
    function.attrs.push(syn::parse_quote!(#[allow(dead_code)]));
    function
}

/// The type of a handler's name, without a route.
pub(crate) fn free_handler(function: &ItemFn) -> TokenStream {
    let ident = &function.sig.ident;
    let named = named(&function.vis, ident);
    quote! {
        #[allow(dead_code)]
        #named

        #[automatically_derived]
        impl ::memgen::private::FreeHandler for #ident {
            fn route() -> ::memgen::private::Route {
                ::core::unreachable!("the build has failed")
            }

            fn states() -> ::std::vec::Vec<&'static str> {
                ::std::vec::Vec::new()
            }
        }
    }
}

/// The type of the name of a function of events, without an input.
pub(crate) fn event_handler(function: &ItemFn) -> TokenStream {
    let ident = &function.sig.ident;
    let named = named(&function.vis, ident);
    quote! {
        #[allow(dead_code)]
        #named

        #[automatically_derived]
        impl ::memgen::private::EventHandler for #ident {
            fn input() -> ::memgen::private::Input {
                ::core::unreachable!("the build has failed")
            }
        }
    }
}
