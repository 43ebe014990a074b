//! Arguments: how each is read from a call, and what the API's description says of it.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;

use super::{at, local};
use crate::model::{Argument, Source};

/// The local that holds an argument. Its number keeps it apart from the macro's own, and `_a` from `a`.
pub(super) fn local_of(argument: &Argument) -> Ident {
    let name = argument.ident.unraw().to_string();
    local(&format!(
        "arg{}_{}",
        argument.index,
        name.trim_start_matches('_')
    ))
}

/// `let arg0_edge: Json<Edge> = call.json::<Edge>().await?;`
pub(super) fn bind(argument: &Argument, call: &Ident) -> TokenStream {
    let (value, ty) = (local_of(argument), &argument.ty);
    if let Source::Tx { mutable } = argument.source {
        let tx = local("tx");
        let borrowed = if mutable {
            quote_spanned!(at(ty)=> #tx)
        } else {
            quote_spanned!(at(ty)=> &*#tx)
        };
        return quote_spanned!(at(ty)=> let #value: #ty = #borrowed;);
    }
    let call = Ident::new(&call.to_string(), at(ty));
    let read = match &argument.source {
        Source::Path | Source::StatePath => {
            let name = argument.ident.unraw().to_string();
            quote_spanned!(at(ty)=> #call.path::<#ty>(#name)?)
        }
        Source::Json(inner) => quote_spanned!(at(ty)=> #call.json::<#inner>().await?),
        Source::Query(_) | Source::Store(_) | Source::External(_) | Source::Part => {
            quote_spanned!(at(ty)=> #call.part::<#ty>().await?)
        }
        Source::Tx { .. } => unreachable!("it returned above"),
    };
    quote_spanned!(at(ty)=> let #value: #ty = #read;)
}

/// `operation.body::<Edge>();`
pub(super) fn describe(argument: &Argument, operation: &Ident) -> TokenStream {
    let ty = &argument.ty;
    let operation = Ident::new(&operation.to_string(), at(ty));
    match &argument.source {
        Source::Path | Source::StatePath => {
            let name = argument.ident.unraw().to_string();
            quote_spanned!(at(ty)=> #operation.path_parameter::<#ty>(#name);)
        }
        Source::Json(inner) => quote_spanned!(at(ty)=> #operation.body::<#inner>();),
        Source::Query(inner) => quote_spanned!(at(ty)=> #operation.query::<#inner>();),
        Source::Store(_) | Source::External(_) | Source::Part | Source::Tx { .. } => {
            TokenStream::new()
        }
    }
}
