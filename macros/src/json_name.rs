//! What a field is called in JSON, if serde is asked for another name.

use syn::{Attribute, LitStr, Token};

/// The name of a field, by `#[serde(rename = "…")]` on it or `#[serde(rename_all = "…")]` on its struct.
pub(crate) fn json_name(name: &str, field: &[Attribute], container: &[Attribute]) -> String {
    if let Some(renamed) = serde_value(field, "rename") {
        return renamed;
    }
    match serde_value(container, "rename_all") {
        Some(rule) => renamed_by(&rule, name),
        None => name.to_owned(),
    }
}

/// `"x"` of `#[serde(word = "x")]`, or of `#[serde(word(serialize = "x"))]`.
fn serde_value(attributes: &[Attribute], word: &str) -> Option<String> {
    let mut found = None;
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        // What serde does not understand, serde reports.
        let _ = attribute.parse_nested_meta(|meta| {
            let wanted = meta.path.is_ident(word);
            if meta.input.peek(Token![=]) {
                let value: syn::Expr = meta.value()?.parse()?;
                if let (
                    true,
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Str(text),
                        ..
                    }),
                ) = (wanted, value)
                {
                    found = Some(text.value());
                }
            } else if meta.input.peek(syn::token::Paren) && wanted {
                meta.parse_nested_meta(|side| {
                    let value: LitStr = side.value()?.parse()?;
                    if side.path.is_ident("serialize") {
                        found = Some(value.value());
                    }
                    Ok(())
                })?;
            } else if meta.input.peek(syn::token::Paren) {
                meta.input.parse::<proc_macro2::Group>()?;
            }
            Ok(())
        });
    }
    found
}

/// The rules of serde, for fields.
fn renamed_by(rule: &str, name: &str) -> String {
    let pascal = || -> String {
        name.split('_')
            .map(|word| {
                let mut characters = word.chars();
                characters.next().map_or_else(String::new, |first| {
                    first.to_ascii_uppercase().to_string() + characters.as_str()
                })
            })
            .collect()
    };
    match rule {
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            let mut characters = pascal.chars();
            characters.next().map_or_else(String::new, |first| {
                first.to_ascii_lowercase().to_string() + characters.as_str()
            })
        }
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn names_are_those_of_serde() {
        let rows: [(Attribute, Attribute, &str); 7] = [
            (
                parse_quote!(#[doc = "x"]),
                parse_quote!(#[doc = "x"]),
                "order_id",
            ),
            (
                parse_quote!(#[serde(default, rename = "oid")]),
                parse_quote!(#[serde(rename_all = "camelCase")]),
                "oid",
            ),
            (
                parse_quote!(#[serde(rename(deserialize = "a", serialize = "b"))]),
                parse_quote!(#[doc = "x"]),
                "b",
            ),
            (
                parse_quote!(#[serde(default)]),
                parse_quote!(#[serde(deny_unknown_fields, rename_all = "camelCase")]),
                "orderId",
            ),
            (
                parse_quote!(#[serde(default)]),
                parse_quote!(#[serde(bound(a = "b"), rename_all = "PascalCase")]),
                "OrderId",
            ),
            (
                parse_quote!(#[serde(default)]),
                parse_quote!(#[serde(rename_all = "SCREAMING_SNAKE_CASE")]),
                "ORDER_ID",
            ),
            (
                parse_quote!(#[serde(default)]),
                parse_quote!(#[serde(rename_all = "kebab-case")]),
                "order-id",
            ),
        ];
        for (field, container, name) in rows {
            assert_eq!(json_name("order_id", &[field], &[container]), name);
        }
    }
}
