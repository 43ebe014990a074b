//! `impl State`. The types of the key stand wherever they are asked for something, so that errors are about the user's own tokens.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use super::local;
use crate::model::{State, at_place_of};

pub(super) fn expand(state: &State) -> TokenStream {
    let ident = &state.ident;
    let key = key(state);
    let entity = entity(state);
    let migrations = migrations(state);
    quote! {
        #entity

        #[automatically_derived]
        impl ::memgen::private::Part for #ident {}

        #[automatically_derived]
        impl ::memgen::State for #ident {
            #key

            #migrations
        }
    }
}

/// What a state is, and its key.
pub(super) fn key(state: &State) -> TokenStream {
    let key = &state.key;
    let definition = definition(state);
    let (writer, reader, value) = (local("writer"), local("reader"), local("key"));
    let types: Vec<_> = key.iter().map(|field| &field.ty).collect();
    let fields: Vec<_> = key.iter().map(|field| &field.ident).collect();
    let names: Vec<_> = key.iter().map(|field| &field.name).collect();
    let reads = quote!(#(#reader.part::<#types>(#names)),*);
    let clones = quote!(#(::core::clone::Clone::clone(&self.#fields)),*);
    let (key_type, key_value, write, read) = if let [only] = types.as_slice() {
        (
            quote!(#only),
            clones,
            quote!(#writer.part::<#only>(#value);),
            reads,
        )
    } else {
        let places = (0..key.len()).map(syn::Index::from);
        (
            quote!((#(#types),*)),
            quote!((#clones)),
            quote!(#(#writer.part::<#types>(&#value.#places);)*),
            quote!(::core::result::Result::Ok((#(#reader.part::<#types>(#names)?),*))),
        )
    };
    quote! {
        type Key = #key_type;

        const DEFINITION: ::memgen::state::Definition = #definition;

        fn key(&self) -> #key_type {
            #key_value
        }

        fn write_key(#value: &#key_type, #writer: &mut ::memgen::key::KeyWriter<'_>) {
            #write
        }

        fn read_key(
            #reader: &mut ::memgen::key::KeyReader<'_>,
        ) -> ::core::result::Result<#key_type, ::memgen::key::KeyError> {
            #read
        }
    }
}

/// `fn migrations`, if there are any. The types stand alone, so that what they lack is said of the user's own tokens.
fn migrations(state: &State) -> Option<TokenStream> {
    let types = &state.migrations;
    let names = types
        .iter()
        .map(|ty| ty.to_token_stream().to_string().replace(' ', ""));
    (!types.is_empty()).then(|| {
        quote! {
            fn migrations() -> ::std::vec::Vec<::memgen::state::Migration<Self>> {
                ::std::vec::Vec::from([#(::memgen::state::Migration::from::<#types>(#names)),*])
            }
        }
    })
}

/// `impl Entity`, and the entity's fields as if they were the state's.
fn entity(state: &State) -> Option<TokenStream> {
    let (ident, field) = (&state.ident, state.entity.as_ref()?);
    let (name, json_name, ty) = (&field.ident, &field.json_name, &field.ty);
    let (key, value) = (local("key"), local("value"));
    let fields: Vec<_> = state.key.iter().map(|field| &field.ident).collect();
    let keys = if let [only] = fields.as_slice() {
        quote!(#only: #key)
    } else {
        let places = (0..fields.len()).map(syn::Index::from);
        quote!(#(#fields: #key.#places),*)
    };
    Some(quote! {
        #[automatically_derived]
        impl ::memgen::contract::Entity for #ident {
            type Value = #ty;

            const FIELD: &'static str = #json_name;

            fn with(#key: <Self as ::memgen::State>::Key, #value: #ty) -> Self {
                Self { #keys, #name: #value }
            }

            fn value(&self) -> &#ty {
                &self.#name
            }
        }

        #[automatically_derived]
        impl ::core::ops::Deref for #ident {
            type Target = #ty;

            fn deref(&self) -> &#ty {
                &self.#name
            }
        }

        #[automatically_derived]
        impl ::core::ops::DerefMut for #ident {
            fn deref_mut(&mut self) -> &mut #ty {
                &mut self.#name
            }
        }
    })
}

fn definition(state: &State) -> TokenStream {
    let State {
        ident,
        doc,
        path,
        topic,
        partitions,
        global,
        crud,
        ack,
        key,
        partition_by,
        entity,
        migrations: _,
    } = state;
    let name = syn::ext::IdentExt::unraw(ident).to_string();
    let collection = &path.literal;
    let rest = key.iter().filter(|field| !path.has(&field.name));
    let item = rest.fold(path.text(), |item, field| {
        format!("{item}/{{{}}}", field.name)
    });
    let item = at_place_of(collection, &item);
    let ack = ack.iter().map(|level| level.variant());
    let crud = crud.iter().map(|operation| operation.variant());
    let names: Vec<_> = key.iter().map(|field| &field.name).collect();
    let entity = if let Some(field) = entity {
        let name = &field.json_name;
        quote!(::core::option::Option::Some(#name))
    } else {
        quote!(::core::option::Option::None)
    };
    let json_names = key.iter().map(|field| &field.json_name);
    quote! {
        ::memgen::state::Definition {
            name: #name,
            doc: #doc,
            collection: #collection,
            item: #item,
            topic: #topic,
            partitions: #partitions,
            global: #global,
            ack: &[#(::memgen::state::Ack::#ack),*],
            crud: &[#(::memgen::state::Crud::#crud),*],
            key_fields: &[#(#names),*],
            key_names: &[#(#json_names),*],
            partition_by: &[#(#partition_by),*],
            entity: #entity,
        }
    }
}
