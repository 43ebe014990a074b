//! `impl ExternalState`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::{at, state};
use crate::{model::External, symbols::Format};

pub(super) fn expand(external: &External) -> TokenStream {
    let ident = &external.state.ident;
    let key = state::key(&external.state);
    let read = match external.format {
        Format::Avro => "avro",
        Format::Json | Format::Bytes => "json",
    };
    let read = Ident::new(read, at(ident));
    let values = quote_spanned!(at(ident)=> ::memgen::private::Values::<#ident>::#read());
    quote! {
        #[automatically_derived]
        impl ::memgen::private::Part for #ident {}

        #[automatically_derived]
        impl ::memgen::ExternalState for #ident {
            #key

            fn values() -> ::memgen::private::Values<Self> {
                #values
            }
        }
    }
}

/// The names of these external states, by which it is checked that they are parts of the service.
pub(super) fn names<'t>(types: impl Iterator<Item = &'t syn::Type>) -> TokenStream {
    let types: Vec<_> = types.collect();
    if types.is_empty() {
        return quote!(&[]);
    }
    let names = types
        .iter()
        .map(|ty| quote_spanned!(at(ty)=> <#ty as ::memgen::ExternalState>::DEFINITION.name));
    quote!(const { &[#(#names),*] })
}
