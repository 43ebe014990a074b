//! `#[operations]` on a trait: a default for each method, and the list of what was written. On an `impl` of such a trait, see [`written`].

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{
    Attribute, FnArg, Item, ItemTrait, LitStr, Pat, ReturnType, TraitItem, TraitItemFn, Type,
    parse_quote, spanned::Spanned as _,
};

use crate::{errors::Errors, types, written};

/// How a method is written.
const FORM: &str = "`#[operation(\"listPets\")] async fn list_pets(cx: Cx, parameters: ListPetsParameters) -> Result<ListPetsReply>;`";

/// What an operation takes besides `cx`.
#[derive(Clone, Copy)]
enum Shape {
    Plain,
    Parameters,
    Body,
    Both,
}

/// A method that is right.
struct Method {
    id: LitStr,
    shape: Shape,
}

#[allow(clippy::needless_pass_by_value, reason = "the form of all macros")]
pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    if !attr.is_empty() {
        errors.push(&attr, "`#[operations]` takes no arguments");
    }
    let mut item = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Trait(item)) => item,
        Ok(Item::Impl(item)) => return written::ask(&item, errors),
        _ => {
            errors.push(
                item.clone().into_iter().next(),
                format!("`#[operations]` belongs on a trait with methods like {FORM}, and on an `impl` of it"),
            );
            let errors = errors.finish();
            return quote!(#errors #item);
        }
    };
    if !item.generics.params.is_empty() {
        errors.push(&item.generics, "a trait of operations has no generics");
    }
    let trait_name = item.ident.clone();
    let mut routes = Vec::new();
    let mut forms = Vec::new();
    for member in &mut item.items {
        if let TraitItem::Fn(function) = member
            && let Some(method) = method(function, &errors)
        {
            routes.push(route(function, &method));
            forms.push(written::form(function, &method.id));
            complete(function, &method, &trait_name);
        }
    }
    if let Some(errors) = errors.finish() {
        for member in &mut item.items {
            if let TraitItem::Fn(function) = member {
                function.sig.asyncness = None;
                function.default = None;
            }
        }
        return quote!(#errors #item);
    }
    add_list(&mut item, &routes);
    let asked = written::answer(&trait_name, &forms);
    quote!(#item #asked)
}

/// Takes `#[operation("…")]` off, and reads it and the signature.
fn method(function: &mut TraitItemFn, errors: &Errors) -> Option<Method> {
    let before = errors.count();
    let mut ids: Vec<Attribute> = Vec::new();
    function.attrs.retain(|attribute| {
        let ours = attribute.path().is_ident("operation");
        if ours {
            ids.push(attribute.clone());
        }
        !ours
    });
    let id = match ids.as_slice() {
        [only] => {
            if let Ok(id) = only.parse_args::<LitStr>() {
                Some(id)
            } else {
                errors.push(only, format!("the operation's id stands in quotes: {FORM}"));
                None
            }
        }
        [] => {
            errors.push(
                &function.sig.ident,
                format!("this method has no `#[operation(\"…\")]`: {FORM}"),
            );
            None
        }
        [_, again, ..] => {
            errors.push(again, "a method is one operation: keep one `#[operation]`");
            None
        }
    };
    if function.sig.asyncness.is_none() {
        errors.push(
            function.sig.fn_token,
            format!("an operation is `async`: {FORM}"),
        );
    }
    if !function.sig.generics.params.is_empty() {
        errors.push(&function.sig.generics, "an operation has no generics");
    }
    if let Some(body) = &function.default {
        errors.push(
            body,
            "the answer of an operation stands in an `impl` of this trait; here it ends with `;`",
        );
    }
    match &function.sig.output {
        ReturnType::Type(_, ty) if types::name(ty).as_deref() == Some("Result") => {}
        output => {
            let place = match output {
                ReturnType::Type(_, ty) => ty.to_token_stream(),
                ReturnType::Default => function.sig.ident.to_token_stream(),
            };
            errors.push(place, format!("an operation returns a `Result`: {FORM}"));
        }
    }
    let shape = shape(function, errors);
    (errors.count() == before).then_some(Method {
        id: id?,
        shape: shape?,
    })
}

/// By the names of the arguments: `cx`, then `parameters`, then `body`.
fn shape(function: &TraitItemFn, errors: &Errors) -> Option<Shape> {
    let mut names = Vec::new();
    for argument in &function.sig.inputs {
        match argument {
            FnArg::Receiver(receiver) => {
                errors.push(
                    receiver,
                    "an operation has no `self`: it reaches the states by `cx.store::<S>()`",
                );
                return None;
            }
            FnArg::Typed(argument) => match argument.pat.as_ref() {
                Pat::Ident(name) => {
                    names.push(name.ident.to_string().trim_start_matches('_').to_owned());
                }
                pattern => {
                    errors.push(pattern, "an argument of an operation is a plain name");
                    return None;
                }
            },
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["cx"] => Some(Shape::Plain),
        ["cx", "parameters"] => Some(Shape::Parameters),
        ["cx", "body"] => Some(Shape::Body),
        ["cx", "parameters", "body"] => Some(Shape::Both),
        _ => {
            errors.push(
                &function.sig.inputs,
                "the arguments of an operation are `cx: Cx`, then `parameters: …` and `body: …`, as far as there are any",
            );
            None
        }
    }
}

/// `OperationRoute::with_both("id", Self::method)`
fn route(function: &TraitItemFn, method: &Method) -> TokenStream {
    let (name, id) = (&function.sig.ident, &method.id);
    let constructor = match method.shape {
        Shape::Plain => quote!(plain),
        Shape::Parameters => quote!(with_parameters),
        Shape::Body => quote!(with_body),
        Shape::Both => quote!(with_both),
    };
    quote_spanned!(name.span()=> ::memgen::contract::OperationRoute::#constructor(#id, Self::#name))
}

/// The method as the compiler sees it: a future that can move between threads, and an answer as long as nobody has written one.
fn complete(function: &mut TraitItemFn, method: &Method, trait_name: &syn::Ident) {
    function.sig.asyncness = None;
    if let ReturnType::Type(arrow, ty) = &function.sig.output {
        let span = ty.span();
        let future: Type = syn::parse2(quote_spanned! {span=>
            impl ::core::future::Future<Output = #ty> + ::core::marker::Send
        })
        .unwrap_or_else(|_| (**ty).clone());
        function.sig.output = ReturnType::Type(*arrow, Box::new(future));
    }
    for argument in &mut function.sig.inputs {
        if let FnArg::Typed(argument) = argument
            && let Pat::Ident(name) = argument.pat.as_mut()
        {
            let hidden = name.ident.to_string();
            let hidden = format!("_{}", hidden.trim_start_matches('_'));
            name.ident = syn::Ident::new(&hidden, name.ident.span());
        }
    }
    let (id, name) = (&method.id, function.sig.ident.to_string());
    let trait_name = trait_name.to_string();
    function.default = Some(parse_quote!({
        ::memgen::contract::not_written(#id, #trait_name, #name)
    }));
    function.semi_token = None;
}

/// `fn operations()`
fn add_list(item: &mut ItemTrait, routes: &[TokenStream]) {
    item.items.push(parse_quote! {
        /// All operations of this trait, for [`Contract::operations`](memgen::contract::Contract::operations).
        #[doc(hidden)]
        #[must_use]
        fn operations() -> ::std::vec::Vec<::memgen::contract::OperationRoute>
        where
            Self: ::core::marker::Sized + 'static,
        {
            ::std::vec::Vec::from([#(#routes),*])
        }
    });
}
