//! A function of events: a type of its name, by which `memgen::main!` finds what it takes in.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{ext::IdentExt as _, spanned::Spanned as _};

use super::{at, external, local, named, reply};
use crate::{
    model::{EventHandler, EventTarget},
    symbols::Format,
};

pub(super) fn expand(handler: &EventHandler) -> TokenStream {
    let EventHandler {
        visibility,
        ident,
        topic,
        dead_letters,
        format,
        event,
        ..
    } = handler;
    let name = ident.unraw().to_string();
    let dead_letters = dead_letters.as_ref().map_or_else(
        || quote!(::core::option::Option::None),
        |topic| quote!(::core::option::Option::Some(#topic)),
    );
    let format = match format {
        Format::Json => "json",
        Format::Avro => "avro",
        Format::Bytes => "bytes",
    };
    let format = Ident::new(format, at(event));
    let format = quote_spanned!(at(event)=> ::memgen::private::Format::<#event>::#format());
    let key = key(handler);
    let (kind, run) = (kind(handler), run(handler));
    let externals = external::names(handler.externals.iter());
    let named = named(visibility, ident);
    quote! {
        #named

        #[automatically_derived]
        impl ::memgen::private::EventHandler for #ident {
            fn input() -> ::memgen::private::Input {
                #kind(
                    ::memgen::private::Declared {
                        name: #name,
                        topic: #topic,
                        dead_letters: #dead_letters,
                        externals: #externals,
                    },
                    #format,
                    #key,
                    #run,
                )
            }
        }
    }
}

fn kind(handler: &EventHandler) -> TokenStream {
    let event = &handler.event;
    match &handler.target {
        EventTarget::Entry(state) => {
            quote_spanned!(at(state)=> ::memgen::private::Input::entries::<#state, #event>)
        }
        EventTarget::Transaction => quote!(::memgen::private::Input::transactions::<#event>),
    }
}

/// `Some(|event: &Sighting| event.place.clone())`: the fields are named where the user wrote them.
fn key(handler: &EventHandler) -> TokenStream {
    let Some(fields) = &handler.key else {
        return quote!(::core::option::Option::None);
    };
    let (whole, ty) = (local("event"), &handler.event);
    let values = fields.iter().map(|names| {
        let span = names.first().map_or_else(|| ty.span(), Ident::span);
        let whole = Ident::new(&whole.to_string(), whole.span().located_at(span));
        quote_spanned!(span=> #whole #(.#names)*)
    });
    let key = match handler.target {
        EventTarget::Entry(_) => {
            let values: Vec<_> = values
                .map(|value| quote_spanned!(value.span()=> ::core::clone::Clone::clone(&#value)))
                .collect();
            match values.as_slice() {
                [one] => quote!(#one),
                several => quote!((#(#several),*)),
            }
        }
        EventTarget::Transaction => {
            let texts = values.map(
                |value| quote_spanned!(value.span()=> ::std::string::ToString::to_string(&#value)),
            );
            quote!([#(#texts),*].join("/"))
        }
    };
    quote!(::core::option::Option::Some(|#whole: &#ty| #key))
}

/// The call of the user's function, and its reply as a response.
fn run(handler: &EventHandler) -> TokenStream {
    let EventHandler {
        ident,
        target,
        event: ty,
        reply,
        ..
    } = handler;
    let (changes, event) = (local("changes"), local("event"));
    let externals = local("externals");
    let names = (0..handler.externals.len()).map(|at| local(&format!("external{at}")));
    let names: Vec<_> = names.collect();
    let bind = names
        .iter()
        .zip(&handler.externals)
        .map(|(name, ty)| quote_spanned!(at(ty)=> let #name = #externals.argument::<#ty>();));
    let bind = quote!(#(#bind)*);
    let called = quote!(#ident(#changes, #event #(, #names)*));
    // What is not used has no name.
    let externals = if names.is_empty() {
        quote!(_)
    } else {
        quote!(#externals)
    };
    match target {
        EventTarget::Entry(state) => {
            let response = reply::respond(reply.as_ref(), &called);
            quote! {
                |#changes: &mut ::memgen::Entry<#state>,
                 #event: #ty,
                 #externals: &::memgen::private::Externals|
                 -> ::memgen::private::Response {
                    #bind
                    #response
                }
            }
        }
        EventTarget::Transaction => {
            let response = reply::respond(reply.as_ref(), &quote!(#called.await));
            quote! {
                |#event: #ty, #changes: &mut ::memgen::Tx, #externals: &::memgen::private::Externals| {
                    #bind
                    ::std::boxed::Box::pin(async move { #response })
                }
            }
        }
    }
}
