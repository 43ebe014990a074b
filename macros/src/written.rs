//! `#[operations]` on an `impl`: is each function still an operation of the document?
//!
//! An attribute sees nothing but its own item. So the trait leaves a macro behind that is called as it is, and so comes along wherever the trait is
//! imported; the `impl` asks it, and it passes the `impl` on, together with what it knows:
//! ```text
//! #[operations] impl PetsApi for Handlers { … }  ->  PetsApi! { impl … }  ->  written! { PetsApi [ (find_pets "findPets" "async fn …"), … ] impl … }
//! ```
//! A function that is none any more gets one message, and is left out: the compiler would go on about types that went with the operation.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote};
use syn::{
    FnArg, Ident, ImplItem, ItemImpl, LitInt, LitStr, ReturnType, Token, TraitItemFn, bracketed,
    parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

use crate::{
    errors::Errors,
    near::{did_you_mean, list},
    types,
};

/// What a user can write: the name of the method, the operation, how many arguments, and the whole head.
struct Form {
    name: Ident,
    operation: LitStr,
    arguments: usize,
    head: LitStr,
}

impl Parse for Form {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let content;
        parenthesized!(content in input);
        Ok(Self {
            name: content.parse()?,
            operation: content.parse()?,
            arguments: content.parse::<LitInt>()?.base10_parse()?,
            head: content.parse()?,
        })
    }
}

/// What the trait says, and the `impl`.
struct Answer {
    forms: Vec<Form>,
    trait_name: Ident,
    item: ItemImpl,
}

impl Parse for Answer {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let trait_name = input.parse()?;
        let content;
        bracketed!(content in input);
        let forms = Punctuated::<Form, Token![,]>::parse_terminated(&content)?;
        Ok(Self {
            forms: forms.into_iter().collect(),
            trait_name,
            item: input.parse()?,
        })
    }
}

/// `PetsApi! { impl PetsApi for Handlers { … } }`
pub(crate) fn ask(item: &ItemImpl, errors: Errors) -> TokenStream {
    match &item.trait_ {
        Some((path, _)) if path.segments.iter().all(|part| part.arguments.is_empty()) => {
            let errors = errors.finish();
            quote!(#errors #path! { #item })
        }
        _ => {
            errors.push(
                &item.self_ty,
                "`#[operations]` belongs on `impl PetsApi for Handlers { … }`: an implementation of the operations of a tag",
            );
            let errors = errors.finish();
            quote!(#errors #item)
        }
    }
}

/// `(find_pets "findPets" 2 "async fn find_pets(cx: Cx, …) -> Result<FindPetsReply>")`
pub(crate) fn form(function: &TraitItemFn, operation: &LitStr) -> TokenStream {
    let name = &function.sig.ident;
    let arguments = function.sig.inputs.len();
    let head = head(function);
    quote!((#name #operation #arguments #head))
}

/// As a user writes it, in one line.
fn head(function: &TraitItemFn) -> String {
    let arguments = function
        .sig
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(argument) => {
                let name = argument.pat.to_token_stream();
                Some(format!("{name}: {}", types::text(&argument.ty)))
            }
            FnArg::Receiver(_) => None,
        });
    let arguments: Vec<String> = arguments.collect();
    let output = match &function.sig.output {
        ReturnType::Type(_, ty) => types::text(ty),
        ReturnType::Default => "()".to_owned(),
    };
    let name = &function.sig.ident;
    format!("async fn {name}({}) -> {output}", arguments.join(", "))
}

/// What is said of a function that the trait does not have.
fn no_operation(word: &str, trait_name: &Ident, known: &[&str]) -> String {
    let meant = did_you_mean(word, known);
    if !meant.is_empty() {
        return format!("`{word}` is no operation of the document{meant}");
    }
    let (what, others) = if known.is_empty() {
        let again = "then remove this file, which has no operation any more, and generate again";
        ("this function", again.to_owned())
    } else {
        let others = format!("the operations of `{trait_name}` are {}", list(known));
        ("this function, and remove it", others)
    };
    format!(
        "`{word}` is no operation of the document: it was removed or renamed there, has another tag, or a state answers it now, as `memgen inspect` \
         shows. Move what you need out of {what}; {others}"
    )
}

/// The macro that a trait leaves behind.
pub(crate) fn answer(trait_name: &Ident, forms: &[TokenStream]) -> TokenStream {
    let own = format_ident!("__memgen_{trait_name}");
    quote! {
        #[doc(hidden)]
        #[allow(unused_macros)]
        macro_rules! #own {
            ($($written:tt)*) => {
                ::memgen::contract::written! { #trait_name [#(#forms),*] $($written)* }
            };
        }
        #[doc(hidden)]
        #[allow(unused_imports)]
        pub(crate) use #own as #trait_name;
    }
}

/// The `impl`, without what is no operation any more.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let Answer {
        forms,
        trait_name,
        mut item,
    } = match syn::parse2(tokens) {
        Ok(answer) => answer,
        Err(error) => return error.to_compile_error(),
    };
    let errors = Errors::new();
    let names: Vec<String> = forms.iter().map(|form| form.name.to_string()).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    item.items.retain(|member| {
        let ImplItem::Fn(function) = member else {
            return true;
        };
        let name = &function.sig.ident;
        let Some(form) = forms.iter().find(|form| form.name == *name) else {
            errors.push(name, no_operation(&name.to_string(), &trait_name, &known));
            return false;
        };
        let right = function.sig.inputs.len() == form.arguments;
        if !right {
            errors.push(
                name,
                format!(
                    "the operation `{}` of the document takes other arguments than this function: `{}`",
                    form.operation.value(),
                    form.head.value()
                ),
            );
        }
        right
    });
    let errors = errors.finish();
    quote!(#errors #item)
}
