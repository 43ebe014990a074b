//! `#[derive(Reply)]`: an enum of all that an operation answers.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote};
use syn::{
    Attribute, Data, DeriveInput, Fields, LitInt, LitStr, Token, Type, Variant,
    parse::{Parse, ParseStream},
};

use crate::{errors::Errors, status::Status, types};

const FORM: &str = "`Ok(Pet)`, `NotFound`, `Default(StatusCode, Error)`, `#[reply(200, \"text/csv\")] OkCsv(String)`, `#[reply(404)] NoPet` or `#[reply(\"4XX\")] Refused(StatusCode, Error)`";

/// `#[reply(200, "text/csv")]`
struct ReplyAttr {
    status: Status,
    media_type: Option<LitStr>,
}

impl Parse for ReplyAttr {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let wrong =
            |input: ParseStream<'_>| input.error(format!("a status is expected here: {FORM}"));
        let status = if input.peek(LitInt) {
            let literal: LitInt = input.parse()?;
            match literal.base10_parse::<u16>() {
                Ok(code) if (200..600).contains(&code) => Status::Code(code),
                _ => {
                    return Err(syn::Error::new(
                        literal.span(),
                        "a status of a reply is from 200 to 599",
                    ));
                }
            }
        } else if input.peek(LitStr) {
            let literal: LitStr = input.parse()?;
            if !matches!(literal.value().as_str(), "2XX" | "3XX" | "4XX" | "5XX") {
                let message = "a class of status is one of \"2XX\", \"3XX\", \"4XX\" and \"5XX\"";
                return Err(syn::Error::new(literal.span(), message));
            }
            Status::Open {
                fails: matches!(literal.value().as_str(), "4XX" | "5XX"),
            }
        } else {
            match input.parse::<Ident>() {
                Ok(word) if word == "default" => Status::Open { fails: true },
                Ok(word) => {
                    return Err(syn::Error::new(
                        word.span(),
                        format!("a status is expected here: {FORM}"),
                    ));
                }
                Err(_) => return Err(wrong(input)),
            }
        };
        let media_type = if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                None
            } else {
                Some(input.parse()?)
            }
        } else {
            None
        };
        if !input.is_empty() {
            return Err(wrong(input));
        }
        Ok(Self { status, media_type })
    }
}

/// `#[reply(errors = "application/problem+json")]` on the enum: the media type of JSON in a reply that may be an error, unless the variant says another one.
struct ErrorsAttr(LitStr);

impl Parse for ErrorsAttr {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let span = input.span();
        if !input.parse::<Ident>().is_ok_and(|word| word == "errors") {
            let message = "on the enum there is `#[reply(errors = \"application/problem+json\")]`";
            return Err(syn::Error::new(span, message));
        }
        input.parse::<Token![=]>()?;
        Ok(Self(input.parse()?))
    }
}

/// A variant, taken apart.
#[derive(Default)]
struct Parts<'a> {
    /// The pattern that binds the fields.
    pattern: TokenStream,
    status: Option<Ident>,
    body: Option<(Ident, &'a Type)>,
    headers: Vec<(Ident, String)>,
}

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let input = match syn::parse2::<DeriveInput>(item) {
        Ok(input) => input,
        Err(error) => {
            errors.push_error(error);
            return errors.finish().unwrap_or_default();
        }
    };
    let of_errors = one(&input.attrs, "reply", &errors).and_then(|attribute| {
        match attribute.parse_args::<ErrorsAttr>() {
            Ok(ErrorsAttr(media_type)) => Some(media_type.value()),
            Err(error) => {
                errors.push_error(error);
                None
            }
        }
    });
    let mut arms = Vec::new();
    match &input.data {
        Data::Enum(data) => {
            for variant in &data.variants {
                arms.extend(arm(variant, of_errors.as_deref(), &errors));
            }
        }
        Data::Struct(data) => errors.push(
            data.struct_token,
            format!("`Reply` belongs on an enum, with variants like {FORM}"),
        ),
        Data::Union(data) => errors.push(
            data.union_token,
            format!("`Reply` belongs on an enum, with variants like {FORM}"),
        ),
    }
    if let Some(errors) = errors.finish() {
        return errors;
    }
    let (ident, (impl_generics, type_generics, clause)) =
        (&input.ident, input.generics.split_for_impl());
    quote! {
        #[automatically_derived]
        impl #impl_generics ::memgen::private::IntoResponse for #ident #type_generics #clause {
            fn into_response(self) -> ::memgen::private::Response {
                match self { #(#arms)* }
            }
        }
    }
}

fn arm(variant: &Variant, of_errors: Option<&str>, errors: &Errors) -> Option<TokenStream> {
    let attr = match (one(&variant.attrs, "reply", errors), named(variant)) {
        (Some(attribute), _) => match attribute.parse_args::<ReplyAttr>() {
            Ok(attr) => attr,
            Err(error) => {
                errors.push_error(error);
                return None;
            }
        },
        (None, Some(attr)) => attr,
        (None, None) => {
            errors.push(
                variant.ident.to_token_stream(),
                format!("the name of this variant is no status, so it needs `#[reply(…)]`: {FORM}"),
            );
            return None;
        }
    };
    let parts = parts(variant, &attr, errors)?;
    let ident = &variant.ident;
    let pattern = &parts.pattern;
    let status = match (&attr.status, &parts.status) {
        (Status::Code(code), _) => quote!(::memgen::contract::reply::status(#code)),
        (Status::Open { .. }, Some(status)) => quote!(#status),
        (Status::Open { .. }, None) => return None,
    };
    let response = match &parts.body {
        None => quote!(::memgen::contract::reply::empty(#status)),
        Some((body, ty)) => {
            let given = attr.media_type.as_ref().map(LitStr::value);
            match (types::name(ty).as_deref(), given.as_deref()) {
                (Some("EventStream"), _) => {
                    quote!(::memgen::contract::reply::events(#status, #body))
                }
                (Some("Bytes"), media_type) => {
                    let media_type = media_type.unwrap_or("application/octet-stream");
                    quote!(::memgen::contract::reply::with(#status, #media_type, #body))
                }
                (Some("String"), Some(media_type)) if !is_json(media_type) => {
                    quote!(::memgen::contract::reply::with(#status, #media_type, #body.into()))
                }
                (_, media_type) => {
                    let media_type = media_type
                        .filter(|it| !it.contains('*'))
                        .or(of_errors.filter(|_| attr.status.fails()))
                        .unwrap_or("application/json");
                    quote!(::memgen::contract::reply::json(#status, #media_type, &#body))
                }
            }
        }
    };
    if parts.headers.is_empty() {
        return Some(quote!(Self::#ident #pattern => #response,));
    }
    let headers = parts.headers.iter().map(
        |(value, name)| quote!(::memgen::contract::reply::header(&mut response, #name, &#value);),
    );
    Some(quote! {
        Self::#ident #pattern => {
            let mut response = #response;
            #(#headers)*
            response
        }
    })
}

/// What the name of a variant says by itself.
fn named(variant: &Variant) -> Option<ReplyAttr> {
    Some(ReplyAttr {
        status: Status::of_name(&variant.ident.to_string())?,
        media_type: None,
    })
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.contains('*') || essence.ends_with("/json") || essence.ends_with("+json")
}

/// What the fields of a variant are.
fn parts<'a>(variant: &'a Variant, attr: &ReplyAttr, errors: &Errors) -> Option<Parts<'a>> {
    let open = matches!(attr.status, Status::Open { .. });
    let name = |text: &str| Ident::new(text, proc_macro2::Span::mixed_site());
    let mut parts = Parts::default();
    match &variant.fields {
        Fields::Unit => {}
        Fields::Unnamed(fields) => {
            let mut names = Vec::new();
            for (index, field) in fields.unnamed.iter().enumerate() {
                if open && index == 0 {
                    if types::name(&field.ty).as_deref() != Some("StatusCode") {
                        errors.push(&field.ty, "the document leaves the status open, so it comes first: `(StatusCode, …)`");
                        return None;
                    }
                    parts.status = Some(name("status"));
                    names.push(name("status"));
                } else if parts.body.is_none() {
                    parts.body = Some((name("body"), &field.ty));
                    names.push(name("body"));
                } else {
                    errors.push(field, "a reply has one body; headers need names: `Ok { body: Pet, x_rate_limit: i64 }`");
                    return None;
                }
            }
            parts.pattern = quote!((#(#names),*));
        }
        Fields::Named(fields) => {
            let mut names = Vec::new();
            for field in &fields.named {
                let ident = field.ident.clone()?;
                let header = field
                    .attrs
                    .iter()
                    .find(|attribute| attribute.path().is_ident("header"));
                match (header, ident.to_string().as_str()) {
                    (Some(header), _) => match header.parse_args::<LitStr>() {
                        Ok(name) => parts.headers.push((ident.clone(), name.value())),
                        Err(_) => errors.push(
                            header,
                            "the header's name stands in quotes: `#[header(\"X-Rate-Limit\")]`",
                        ),
                    },
                    (None, "status") => parts.status = Some(ident.clone()),
                    (None, "body") => parts.body = Some((ident.clone(), &field.ty)),
                    // `x_rate_limit` is the header `X-Rate-Limit`: their names have no case.
                    (None, other) => {
                        let name = other.trim_start_matches("r#").replace('_', "-");
                        parts.headers.push((ident.clone(), name));
                    }
                }
                names.push(ident);
            }
            parts.pattern = quote!({ #(#names),* });
        }
    }
    match (&attr.status, &parts.status) {
        (Status::Open { .. }, None) => {
            errors.push(
                &variant.ident,
                "the document leaves the status of this reply open, so it has one: `(StatusCode, …)` or `{ status: StatusCode, … }`",
            );
            None
        }
        (Status::Code(code), Some(status)) => {
            errors.push(
                status,
                format!("the status is {code} already: remove this field"),
            );
            None
        }
        _ => Some(parts),
    }
}

/// The one attribute of this name, if there is one.
pub(crate) fn one<'a>(
    attributes: &'a [Attribute],
    word: &str,
    errors: &Errors,
) -> Option<&'a Attribute> {
    let mut ours = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(word));
    let first = ours.next();
    if let Some(again) = ours.next() {
        errors.push(again, format!("keep one `#[{word}]`"));
    }
    first
}
