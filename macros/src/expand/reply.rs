//! What a function returns: to a response, and to its description.
//!
//! `Result`, `Option` and `()` are seen here, by name. What is inside is told apart by its traits, in the runtime's
//! `private::reply`, and so is what the response is.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;

use super::{at, local};
use crate::types;

enum Reply<'a> {
    Nothing,
    Result {
        value: &'a Type,
        error: Option<&'a Type>,
    },
    Option(&'a Type),
    Plain(&'a Type),
}

fn classify(ty: Option<&Type>) -> Reply<'_> {
    let Some(ty) = ty else { return Reply::Nothing };
    if types::is_unit(ty) {
        return Reply::Nothing;
    }
    match (types::name(ty).as_deref(), types::arguments(ty).as_slice()) {
        (Some("Result"), [value, rest @ ..]) => Reply::Result {
            value,
            error: rest.first().copied(),
        },
        (Some("Option"), [value]) => Reply::Option(value),
        _ => Reply::Plain(ty),
    }
}

/// `value` as a response.
pub(super) fn respond(ty: Option<&Type>, value: &TokenStream) -> TokenStream {
    match classify(ty) {
        Reply::Nothing => quote!({ #value; ::memgen::private::reply::nothing() }),
        Reply::Result { value: ok, error } => {
            let inner = local_at("value", ok);
            let ok = respond(Some(ok), &quote!(#inner));
            let failed = error.map_or_else(|| local("error"), |error| local_at("error", error));
            let span = error
                .or(ty)
                .map_or_else(proc_macro2::Span::call_site, syn::spanned::Spanned::span);
            let error = error.map(|error| quote!(::<#error>));
            let error = quote_spanned!(span=> ::memgen::private::reply::error #error (#failed));
            quote! {
                match #value {
                    ::core::result::Result::Ok(#inner) => #ok,
                    ::core::result::Result::Err(#failed) => #error,
                }
            }
        }
        Reply::Option(some) => {
            let inner = local_at("value", some);
            let some = respond(Some(some), &quote!(#inner));
            quote! {
                match #value {
                    ::core::option::Option::Some(#inner) => #some,
                    ::core::option::Option::None => ::memgen::private::reply::missing(),
                }
            }
        }
        Reply::Plain(ty) => {
            let reply = local_at("reply", ty);
            let call = quote_spanned!(at(ty)=> .memgen_reply().respond(#reply));
            quote!({
                use ::memgen::private::reply::dispatch::*;
                let #reply: #ty = #value;
                (&&&&::memgen::private::reply::Probe::<#ty>::new()) #call
            })
        }
    }
}

/// A local where `ty` is written.
fn local_at(name: &str, ty: &Type) -> Ident {
    Ident::new(name, at(ty))
}

/// The response as a part of the API's description.
pub(super) fn describe(ty: Option<&Type>, operation: &Ident) -> TokenStream {
    match classify(ty) {
        Reply::Nothing => quote!(::memgen::private::reply::describe_nothing(#operation);),
        Reply::Result { value, .. } => describe(Some(value), operation),
        Reply::Option(value) => {
            let value = describe(Some(value), operation);
            quote!(#value ::memgen::private::reply::describe_missing(#operation);)
        }
        Reply::Plain(ty) => quote! {
            {
                use ::memgen::private::reply::dispatch::*;
                (&&&&::memgen::private::reply::Probe::<#ty>::new()).memgen_describe(#operation);
            }
        },
    }
}
