//! `impl State`, and assertions on the types of the key.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::local;
use crate::model::{State, at_place_of};

pub(super) fn expand(state: &State) -> TokenStream {
    let State { ident, key, .. } = state;
    let definition = definition(state);
    let (writer, reader, value) = (local("writer"), local("reader"), local("key"));
    let types: Vec<_> = key.iter().map(|field| &field.ty).collect();
    let fields: Vec<_> = key.iter().map(|field| &field.ident).collect();
    let names: Vec<_> = key.iter().map(|field| &field.name).collect();
    let reads = quote!(#(#reader.part::<#types>(#names)),*);
    let clones = quote!(#(::core::clone::Clone::clone(&self.#fields)),*);
    let (key_type, key_value, write, read) = if let [only] = types.as_slice() {
        (quote!(#only), clones, quote!(#writer.part(#value);), reads)
    } else {
        let places = (0..key.len()).map(syn::Index::from);
        (
            quote!((#(#types),*)),
            quote!((#clones)),
            quote!(#(#writer.part(&#value.#places);)*),
            quote!(::core::result::Result::Ok((#(#reader.part::<#types>(#names)?),*))),
        )
    };
    let assertions = types.iter().map(|ty| {
        quote_spanned!(ty.span()=> const _: () = ::memgen::private::argument::assert_key_part::<#ty>();)
    });
    quote! {
        #[automatically_derived]
        impl ::memgen::private::Part for #ident {}

        #[automatically_derived]
        impl ::memgen::State for #ident {
            type Key = #key_type;

            const DEFINITION: ::memgen::state::Definition = #definition;

            fn key(&self) -> Self::Key {
                #key_value
            }

            fn write_key(#value: &Self::Key, #writer: &mut ::memgen::key::KeyWriter<'_>) {
                #write
            }

            fn read_key(
                #reader: &mut ::memgen::key::KeyReader<'_>,
            ) -> ::core::result::Result<Self::Key, ::memgen::key::KeyError> {
                #read
            }
        }

        #(#assertions)*
    }
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
        key,
        partition_by,
    } = state;
    let name = syn::ext::IdentExt::unraw(ident).to_string();
    let collection = &path.literal;
    let rest = key.iter().filter(|field| !path.has(&field.name));
    let item = rest.fold(path.text(), |item, field| {
        format!("{item}/{{{}}}", field.name)
    });
    let item = at_place_of(collection, &item);
    let crud = crud.iter().map(|operation| operation.variant());
    let names: Vec<_> = key.iter().map(|field| &field.name).collect();
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
            crud: &[#(::memgen::state::Crud::#crud),*],
            key_fields: &[#(#names),*],
            key_names: &[#(#json_names),*],
            partition_by: &[#(#partition_by),*],
        }
    }
}
