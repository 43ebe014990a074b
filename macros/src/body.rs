//! `#[derive(Body)]`: an enum of all that an operation takes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, LitStr, Token, Variant, punctuated::Punctuated};

use crate::{errors::Errors, reply::one, types};

const FORM: &str = "`#[body(\"application/json\")] Json(Pet)`, `#[body(\"text/plain\")] Text(String)` or `#[body(\"image/*\")] Image(Bytes)`";

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let input = match syn::parse2::<DeriveInput>(item) {
        Ok(input) => input,
        Err(error) => {
            errors.push_error(error);
            return errors.finish().unwrap_or_default();
        }
    };
    let mut arms = Vec::new();
    if let Data::Enum(data) = &input.data {
        let mut taken: Vec<String> = Vec::new();
        for variant in &data.variants {
            arms.extend(arm(variant, &mut taken, &errors));
        }
    } else {
        errors.push(
            &input.ident,
            format!("`Body` belongs on an enum, with variants like {FORM}"),
        );
    }
    if let Some(errors) = errors.finish() {
        return errors;
    }
    let (ident, (impl_generics, type_generics, clause)) =
        (&input.ident, input.generics.split_for_impl());
    quote! {
        #[automatically_derived]
        impl #impl_generics ::memgen::contract::FromBody for #ident #type_generics #clause {
            fn from_body(body: ::memgen::contract::Body) -> ::memgen::Result<Self> {
                match body.media_type() {
                    #(#arms)*
                    other => ::core::result::Result::Err(::memgen::contract::no_variant(other)),
                }
            }
        }
    }
}

fn arm(variant: &Variant, taken: &mut Vec<String>, errors: &Errors) -> Option<TokenStream> {
    let Some(attribute) = one(&variant.attrs, "body", errors) else {
        errors.push(
            &variant.ident,
            format!("this variant needs `#[body(…)]`: {FORM}"),
        );
        return None;
    };
    let parser = Punctuated::<LitStr, Token![,]>::parse_terminated;
    let media_types = match attribute.parse_args_with(parser) {
        Ok(media_types) if !media_types.is_empty() => media_types,
        _ => {
            errors.push(attribute, format!("media types stand in quotes: {FORM}"));
            return None;
        }
    };
    for media_type in &media_types {
        if taken.contains(&media_type.value()) {
            errors.push(media_type, "another variant takes this media type already");
        }
        taken.push(media_type.value());
    }
    let ty = match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => &fields.unnamed[0].ty,
        _ => {
            errors.push(
                &variant.ident,
                format!("a variant holds the body, and nothing else: {FORM}"),
            );
            return None;
        }
    };
    let read = match types::name(ty).as_deref() {
        Some("Bytes") => quote!(bytes),
        Some("String") => quote!(text),
        _ => quote!(json),
    };
    let (ident, media_types) = (&variant.ident, media_types.iter());
    Some(quote!(#(#media_types)|* => body.#read().map(Self::#ident),))
}
