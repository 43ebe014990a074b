//! `#[on_event(topic = "sightings", key = "place")]`

use proc_macro2::{Ident, Span, TokenStream};
use syn::{LitStr, ext::IdentExt as _, parse::Parser as _};

use super::arguments::{Argument, arguments, string};
use crate::{
    errors::Errors,
    near::{did_you_mean, list},
    symbols::{DEAD_LETTERS, EVENT_WORDS, FORMAT, Format, KEY, TOPIC},
};

/// How `#[on_event]` is written.
pub(crate) const EVENT_FORM: &str = "#[on_event(topic = \"sightings\", key = \"place\")]";

/// `#[on_event(…)]`, as far as it was right.
#[derive(Debug, Default)]
pub(crate) struct EventAttr {
    pub(crate) topic: Option<LitStr>,
    pub(crate) key: Option<KeyFields>,
    pub(crate) dead_letters: Option<LitStr>,
    pub(crate) format: Option<(Ident, Format)>,
}

/// The fields of the event that are the key.
#[derive(Debug)]
pub(crate) struct KeyFields {
    pub(crate) literal: LitStr,
    /// Each is a name, or several with dots in between.
    pub(crate) fields: Vec<Vec<Ident>>,
}

impl EventAttr {
    pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Self {
        let mut attr = Self::default();
        let before = errors.count();
        let mut seen: Vec<String> = Vec::new();
        for argument in arguments(tokens, EVENT_FORM, errors) {
            let Argument { name, value } = argument;
            let Some(name) = name else {
                errors.push(value, format!("a value needs a name: `{EVENT_FORM}`"));
                continue;
            };
            let word = name.unraw().to_string();
            if seen.contains(&word) {
                errors.push(&name, format!("`{word}` is given twice: keep one"));
                continue;
            }
            match word.as_str() {
                TOPIC => attr.topic = string(&name, &value, "sightings", errors),
                KEY => {
                    let literal = string(&name, &value, "place", errors);
                    attr.key = literal.and_then(|literal| key_fields(literal, errors));
                }
                DEAD_LETTERS => {
                    attr.dead_letters = string(&name, &value, "strange-sightings", errors);
                }
                FORMAT => {
                    let literal = string(&name, &value, "bytes", errors);
                    let format = literal.and_then(|literal| format(&literal, errors));
                    attr.format = format.map(|format| (name.clone(), format));
                }
                _ => errors.push(
                    &name,
                    match did_you_mean(&word, &EVENT_WORDS) {
                        near if near.is_empty() => {
                            format!("`{word}` is not known here, only {}", list(&EVENT_WORDS))
                        }
                        near => format!("`{word}` is not known here{near}"),
                    },
                ),
            }
            seen.push(word);
        }
        if !seen.iter().any(|word| word == TOPIC) && errors.count() == before {
            errors.push_error(syn::Error::new(
                Span::call_site(),
                format!("events come from a topic: `{EVENT_FORM}`"),
            ));
        }
        attr
    }
}

fn key_fields(literal: LitStr, errors: &Errors) -> Option<KeyFields> {
    let text = literal.value();
    let field = |field: &str| {
        let names = field.trim().split('.').map(|name| {
            let name: Ident = Ident::parse_any.parse_str(name.trim()).ok()?;
            let raw = name.to_string();
            // Where it is written: a field that is missing is reported there.
            let at = literal.span();
            Some(match raw.strip_prefix("r#") {
                Some(raw) => Ident::new_raw(raw, at),
                None if syn::parse_str::<Ident>(&raw).is_err() => Ident::new_raw(&raw, at),
                None => Ident::new(&raw, at),
            })
        });
        names.collect::<Option<Vec<_>>>()
    };
    let fields: Option<Vec<_>> = text.split(',').map(field).collect();
    let Some(fields) = fields else {
        errors.push(
            &literal,
            "the key is a field of the event, or several: `key = \"place\"`, `key = \"customer, number\"`",
        );
        return None;
    };
    Some(KeyFields { literal, fields })
}

pub(super) fn format(literal: &LitStr, errors: &Errors) -> Option<Format> {
    let word = literal.value();
    let format = Format::of(&word);
    if format.is_none() {
        let near = did_you_mean(&word, &Format::WORDS);
        let near = if near.is_empty() {
            format!(": write one of {}", list(&Format::WORDS))
        } else {
            near
        };
        errors.push(literal, format!("`{word}` is no format{near}"));
    }
    if format == Some(Format::Avro) && !cfg!(feature = "avro") {
        errors.push(
            literal,
            "Avro needs the feature `avro` of memgen: `memgen = { …, features = [\"avro\"] }` in Cargo.toml",
        );
        return None;
    }
    format
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn an_attribute_is_read() {
        let errors = Errors::new();
        let tokens = quote!(
            topic = "t",
            key = "customer, order.r#type",
            dead_letters = "d",
            format = "json"
        );
        let attr = EventAttr::parse(tokens, &errors);
        assert!(errors.finish().is_none());
        assert_eq!(attr.topic.map(|topic| topic.value()), Some("t".to_owned()));
        let fields = attr.key.expect("it is there").fields;
        let fields: Vec<Vec<String>> = fields
            .iter()
            .map(|field| field.iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(fields, [vec!["customer"], vec!["order", "r#type"]]);
        assert_eq!(attr.format.map(|(_, format)| format), Some(Format::Json));
    }

    #[test]
    fn avro_needs_its_feature() {
        let errors = Errors::new();
        let attr = EventAttr::parse(quote!(topic = "t", format = "avro"), &errors);
        if cfg!(feature = "avro") {
            assert_eq!(attr.format.map(|(_, format)| format), Some(Format::Avro));
            assert!(errors.finish().is_none());
        } else {
            let text = errors.finish().map(|it| it.to_string()).unwrap_or_default();
            assert!(text.contains("feature `avro`"), "{text}");
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        let rows = [
            (quote!(), "from a topic"),
            (quote!(key = "a"), "from a topic"),
            (quote!("t"), "needs a name"),
            (quote!(topic = t), "takes a string"),
            (quote!(topic = "t", topic = "u"), "twice"),
            (quote!(topik = "t"), "did you mean `topic`"),
            (quote!(topic = "t", partitions = 4), "only `topic`"),
            (quote!(topic = "t", key = "a b"), "is a field of the event"),
            (quote!(topic = "t", key = ""), "is a field of the event"),
            (quote!(topic = "t", key = "a,"), "is a field of the event"),
            (quote!(topic = "t", format = "byte"), "did you mean `bytes`"),
            (quote!(topic = "t", format = "xml"), "write one of"),
        ];
        for (tokens, part) in rows {
            let errors = Errors::new();
            EventAttr::parse(tokens.clone(), &errors);
            assert_eq!(errors.count(), 1, "{tokens}");
            let text = errors.finish().map(|it| it.to_string()).unwrap_or_default();
            assert!(text.contains(part), "{tokens}: {text}");
        }
    }
}
