//! The rules of `#[migrate(from = …)]`.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::{
    Attribute, Lit, Meta, Token, Type,
    ext::IdentExt as _,
    parse::{ParseStream, Parser as _},
};

use crate::{errors::Errors, symbols::MIGRATE};

/// The types of all attributes, in order.
pub(super) fn migrations(attributes: &[Attribute], state: &Ident, errors: &Errors) -> Vec<Type> {
    let form = format!("`#[migrate(from = {}V1)]`", state.unraw());
    let mut types: Vec<Type> = Vec::new();
    for attribute in attributes {
        let word = attribute.path();
        if !word.is_ident(MIGRATE) {
            let word = word.to_token_stream();
            errors.push(
                attribute,
                format!("`#[{word}]` is not known here: did you mean {form}?"),
            );
            continue;
        }
        let Some(ty) = from(attribute, &form, errors) else {
            continue;
        };
        if *state == ty.to_token_stream().to_string() {
            errors.push(
                &ty,
                format!(
                    "a state is not migrated from itself: keep the struct as it was under another name, such as {form}"
                ),
            );
        } else if types.contains(&ty) {
            errors.push(&ty, "values are migrated from this type already: keep one");
        } else {
            types.push(ty);
        }
    }
    types
}

/// The type of `#[migrate(from = Type)]`.
fn from(attribute: &Attribute, form: &str, errors: &Errors) -> Option<Type> {
    let tokens = match &attribute.meta {
        Meta::List(list) if !list.tokens.is_empty() => list.tokens.clone(),
        _ => {
            errors.push(
                attribute,
                format!("the type from which values are migrated is missing: {form}"),
            );
            return None;
        }
    };
    let parser = |input: ParseStream<'_>| {
        let word: Ident = input.call(Ident::parse_any)?;
        let given = input.parse::<Option<Token![=]>>()?.is_some();
        let text = input.peek(Lit).then(|| input.parse::<Lit>()).transpose()?;
        let ty = (given && text.is_none())
            .then(|| input.parse::<Type>())
            .transpose()?;
        input.parse::<Option<Token![,]>>()?;
        Ok((word, text, ty, input.parse::<TokenStream>()?))
    };
    match parser.parse2(tokens.clone()) {
        Ok((word, _, _, _)) if word != "from" => {
            errors.push(&word, format!("write {form}"));
            None
        }
        Ok((_, Some(text), ..)) => {
            errors.push(&text, format!("a type stands here, without quotes: {form}"));
            None
        }
        Ok((_, None, Some(ty), rest)) => {
            if rest.is_empty() {
                return Some(ty);
            }
            errors.push(
                rest,
                format!("each type has an attribute of its own: {form}"),
            );
            None
        }
        Ok((_, None, None, _)) | Err(_) => {
            errors.push(tokens, format!("this is not understood: {form}"));
            None
        }
    }
}
