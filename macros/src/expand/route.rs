//! One `Route`: how a request becomes a typed call, and how it is described.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Type, ext::IdentExt as _};

use super::{argument, external, local, reply};
use crate::model::{Form, Route, Source};

/// `state` is there unless the function is a free one.
pub(super) fn expand(route: &Route, state: Option<&Type>) -> TokenStream {
    let Route {
        method,
        path,
        ident,
        doc,
        arguments,
        ..
    } = route;
    let (method, path, name) = (method.constant(), &path.literal, ident.unraw().to_string());
    let (call, operation) = (local("call"), local("operation"));
    let enter = state.map_or_else(|| quote!(free()), |state| quote!(enter::<#state>()));
    let bind = arguments
        .iter()
        .map(|argument| argument::bind(argument, &call));
    let answer = answer(route, state, &call);
    let work = if route.form == Form::Transaction {
        let tx = local("tx");
        quote! {
            #call.transact(|#call, #tx| ::std::boxed::Box::pin(async move {
                #(#bind)*
                ::std::result::Result::Ok(#answer)
            })).await
        }
    } else {
        quote! {
            #(#bind)*
            #answer
        }
    };
    let externals = external::names(arguments.iter().filter_map(
        |argument| match &argument.source {
            Source::External(external) => Some(external),
            _ => None,
        },
    ));
    let describe_arguments = arguments
        .iter()
        .map(|argument| argument::describe(argument, &operation));
    let describe_reply = reply::describe(route.reply.as_ref(), &operation);
    quote! {
        ::memgen::private::Route {
            method: #method,
            path: #path,
            name: #name,
            doc: #doc,
            call: |#call| ::std::boxed::Box::pin(async move {
                #[allow(unused_mut)]
                let mut #call = #call.#enter.await?;
                #work
            }),
            describe: |#operation| {
                #(#describe_arguments)*
                #describe_reply
            },
            externals: #externals,
        }
    }
}

/// The call of the user's function, and its reply as a response.
fn answer(route: &Route, state: Option<&Type>, call: &proc_macro2::Ident) -> TokenStream {
    let ident = &route.ident;
    let arguments = route.arguments.iter().map(argument::local_of);
    let (target, kind) = match route.form {
        Form::Free { asynchronous } => {
            let wait = asynchronous.then(|| quote!(.await));
            let response =
                reply::respond(route.reply.as_ref(), &quote!(#ident(#(#arguments),*) #wait));
            return quote_spanned! {ident.span()=> #call.answer(async move { #response }).await };
        }
        Form::Transaction => {
            let called = quote!(#ident(#(#arguments),*).await);
            return reply::respond(route.reply.as_ref(), &called);
        }
        Form::Query => (quote!(&#state), "query"),
        Form::Update => (quote!(&mut #state), "update"),
        Form::Command => (quote!(&mut ::memgen::Entry<#state>), "command"),
    };
    let (kind, target_name) = (format_ident!("{kind}"), local("target"));
    let response = reply::respond(
        route.reply.as_ref(),
        &quote!(<#state>::#ident(#target_name #(, #arguments)*)),
    );
    quote! {
        #call.#kind(move |#target_name: #target| -> ::memgen::private::Response { #response }).await
    }
}
