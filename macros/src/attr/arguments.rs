//! What stands between the commas of an attribute, and values of it.

use std::fmt::Display;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Expr, ExprLit, Lit, LitInt, LitStr, Token, UnOp,
    ext::IdentExt as _,
    parse::{Parse, ParseStream, Parser as _},
};

use crate::{errors::Errors, symbols::PARTITIONS_MAX};

/// `name`, `name = value`, `name(…)`, or a value without a name.
pub(super) struct Argument {
    pub(super) name: Option<Ident>,
    pub(super) value: Value,
}

/// What is said of a name.
pub(super) enum Value {
    None,
    /// `= value`
    Given(Expr),
    /// `(…)`
    List(proc_macro2::Group),
    /// A value without a name.
    Bare(Expr),
}

impl ToTokens for Value {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::None => {}
            Self::Given(value) | Self::Bare(value) => value.to_tokens(tokens),
            Self::List(group) => group.to_tokens(tokens),
        }
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(syn::Ident::peek_any) || input.peek(syn::LitBool) {
            return Ok(Self {
                name: None,
                value: Value::Bare(input.parse()?),
            });
        }
        let name = Some(input.call(Ident::parse_any)?);
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Given(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            Value::List(input.parse()?)
        } else {
            Value::None
        };
        Ok(Self { name, value })
    }
}

/// Splits at commas. Tokens that are no argument are reported, and the next argument is read all the same.
pub(super) fn arguments(tokens: TokenStream, form: &str, errors: &Errors) -> Vec<Argument> {
    let mut parsed = Vec::new();
    for (part, comma) in split(tokens) {
        if part.is_empty() {
            errors.push(comma, format!("an argument is missing here: `{form}`"));
            continue;
        }
        let mut part = part;
        // Each round takes at least one token.
        while !part.is_empty() {
            let parser = |input: ParseStream<'_>| Ok((input.parse::<Argument>()?, input.parse()?));
            let Ok((argument, rest)) = parser.parse2(part.clone()) else {
                errors.push(part, format!("this is not understood: `{form}`"));
                break;
            };
            parsed.push(argument);
            part = rest;
            if let Some(token) = part.clone().into_iter().next() {
                errors.push(token, "a comma is missing before this");
            }
        }
    }
    parsed
}

/// The tokens between commas, each with the comma that ends it. A comma at the end ends the last part.
pub(super) fn split(tokens: TokenStream) -> Vec<(TokenStream, Option<TokenTree>)> {
    let mut parts = Vec::new();
    let mut part = TokenStream::new();
    for token in tokens {
        match token {
            TokenTree::Punct(ref comma) if comma.as_char() == ',' => {
                parts.push((std::mem::take(&mut part), Some(token)));
            }
            other => part.extend([other]),
        }
    }
    if !part.is_empty() {
        parts.push((part, None));
    }
    parts
}

pub(super) fn string(
    name: &Ident,
    value: &Value,
    example: &str,
    errors: &Errors,
) -> Option<LitStr> {
    match value {
        Value::Given(Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        })) => return Some(literal.clone()),
        Value::Given(Expr::Path(word)) if word.path.get_ident().is_some() => {
            let slash = if example.starts_with('/') { "/" } else { "" };
            let word = word.path.to_token_stream();
            errors.push(
                &word,
                format!("`{name}` takes a string: `{name} = \"{slash}{word}\"`"),
            );
        }
        value => errors.push(
            quote!(#name #value),
            format!("`{name}` takes a string literal: `{name} = \"{example}\"`"),
        ),
    }
    None
}

pub(super) fn flag(name: &Ident, value: &Value, errors: &Errors) -> bool {
    if !matches!(value, Value::None) {
        errors.push(
            value,
            format!("`{name}` takes no value: write it, or leave it out"),
        );
    }
    true
}

pub(super) fn partitions(name: &Ident, value: &Value, errors: &Errors) -> Option<u32> {
    let form = format!("`{name} = 4`, from 1 to {PARTITIONS_MAX}");
    let mistake: &dyn Display = match value {
        Value::Given(Expr::Lit(ExprLit {
            lit: Lit::Int(literal),
            ..
        })) => match number(literal) {
            Some(0) => &"a state has at least one partition",
            Some(count) if count > PARTITIONS_MAX => &"that is too many partitions",
            Some(count) => return Some(count),
            None => &"this is not a number of partitions",
        },
        Value::Given(Expr::Unary(negative)) if matches!(negative.op, UnOp::Neg(_)) => {
            &"a number of partitions is not negative"
        }
        Value::Given(Expr::Lit(ExprLit {
            lit: Lit::Str(_), ..
        })) => &"the number of partitions is no string",
        Value::Given(Expr::Path(_)) => {
            &"the number of partitions is a literal: the topic is made with it, once and for all"
        }
        _ => {
            errors.push(
                quote!(#name #value),
                format!("`{name}` takes an integer: {form}"),
            );
            return None;
        }
    };
    errors.push(value, format!("{mistake}: {form}"));
    None
}

/// An integer that fits. Larger ones are too large, whatever they are.
fn number(literal: &LitInt) -> Option<u32> {
    if !literal.suffix().is_empty() && literal.suffix() != "u32" {
        return None;
    }
    Some(literal.base10_parse::<u32>().unwrap_or(u32::MAX))
}
