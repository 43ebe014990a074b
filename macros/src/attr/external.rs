//! `#[external(topic = "rates", path = "/rate", crud(get, list))]`

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt as _;

use super::{
    StateAttr,
    arguments::{Argument, arguments, string},
    event::format,
    words::reads,
};
use crate::{
    errors::Errors,
    near::{did_you_mean, list},
    symbols::{
        ACK, CRUD, DEAD_LETTERS, EXTERNAL_WORDS, FORMAT, Format, GLOBAL, PARTITIONS, PATH, TOPIC,
    },
    template::{Root, Template},
};

/// How `#[external]` is written.
pub(crate) const EXTERNAL_FORM: &str =
    "#[external(topic = \"rates\", path = \"/rate\", crud(get, list))]";

/// `#[external(…)]`, as far as it was right.
#[derive(Debug)]
pub(crate) struct ExternalAttr {
    /// What a state has, too.
    pub(crate) state: StateAttr,
    pub(crate) format: Format,
}

impl ExternalAttr {
    pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Self {
        let mut state = StateAttr {
            form: EXTERNAL_FORM,
            is_external: true,
            ..StateAttr::default()
        };
        let mut format = Format::Json;
        let before = errors.count();
        let mut seen: Vec<(String, Ident)> = Vec::new();
        for argument in arguments(tokens, EXTERNAL_FORM, errors) {
            let Argument { name, value } = argument;
            let Some(name) = name else {
                errors.push(value, format!("a value needs a name: `{EXTERNAL_FORM}`"));
                continue;
            };
            let word = name.unraw().to_string();
            if seen.iter().any(|(other, _)| *other == word) {
                errors.push(&name, format!("`{word}` is given twice: keep one"));
                continue;
            }
            match word.as_str() {
                PATH => {
                    state.path = string(&name, &value, "/rate", errors)
                        .and_then(|literal| Template::parse(&literal, Root::Refused, errors));
                }
                TOPIC => state.topic = string(&name, &value, "rates", errors),
                CRUD => state.crud = reads(&name, &value, errors),
                FORMAT => format = of_values(&name, &value, errors).unwrap_or(format),
                _ => errors.push(&name, why_not(&word)),
            }
            seen.push((word, name));
        }
        let given = |word: &str| seen.iter().find(|(other, _)| other == word);
        if given(TOPIC).is_none() && errors.count() == before {
            errors.push_error(syn::Error::new(
                Span::call_site(),
                format!("an external state is folded from a topic: `{EXTERNAL_FORM}`"),
            ));
        }
        if let (Some((_, crud)), None) = (given(CRUD), given(PATH)) {
            errors.push(crud, format!("operations need a path: `{EXTERNAL_FORM}`"));
        }
        Self { state, format }
    }
}

/// How values are written.
fn of_values(name: &Ident, value: &super::Value, errors: &Errors) -> Option<Format> {
    let literal = string(name, value, "avro", errors)?;
    let format = format(&literal, errors)?;
    if format == Format::Bytes {
        errors.push(
            literal,
            "a value is a struct, and bytes have no fields: `format = \"json\"`, which may be left out, or `format = \"avro\"`",
        );
        return None;
    }
    Some(format)
}

/// Why a word can't stand here.
fn why_not(word: &str) -> String {
    match word {
        PARTITIONS => "whoever writes the topic decides how many partitions it has: remove `partitions`".to_owned(),
        GLOBAL => "each node has all of an external state anyway: remove `global`".to_owned(),
        ACK => "nothing of an external state is written here: remove `ack`".to_owned(),
        DEAD_LETTERS => "each node reads the topic, and says itself what it can't read (`/status`, `/metrics`): remove `dead_letters`".to_owned(),
        word => match did_you_mean(word, &EXTERNAL_WORDS) {
            near if near.is_empty() => {
                format!("`{word}` is not known here, only {}", list(&EXTERNAL_WORDS))
            }
            near => format!("`{word}` is not known here{near}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::symbols::Crud;

    #[test]
    fn an_attribute_is_read() {
        let errors = Errors::new();
        let tokens = quote!(topic = "t", path = "/a", format = "json", crud(list, get));
        let attr = ExternalAttr::parse(tokens, &errors);
        assert!(errors.finish().is_none());
        let topic = attr.state.topic.map(|topic| topic.value());
        assert_eq!(topic, Some("t".to_owned()));
        assert_eq!(attr.state.crud, [Crud::List, Crud::Get]);
        assert_eq!(attr.format, Format::Json);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let rows = [
            (quote!(), "folded from a topic"),
            (quote!(path = "/a"), "folded from a topic"),
            (quote!("t"), "needs a name"),
            (quote!(topic = t), "takes a string"),
            (quote!(topic = "t", topic = "u"), "twice"),
            (quote!(topik = "t"), "did you mean `topic`"),
            (quote!(topic = "t", partitions = 4), "remove `partitions`"),
            (quote!(topic = "t", global), "remove `global`"),
            (quote!(topic = "t", ack(os)), "remove `ack`"),
            (
                quote!(topic = "t", dead_letters = "d"),
                "remove `dead_letters`",
            ),
            (quote!(topic = "t", retention = 1), "only `path`"),
            (quote!(topic = "t", crud(get)), "need a path"),
            (
                quote!(topic = "t", path = "/a", crud(put)),
                "others write it",
            ),
            (quote!(topic = "t", path = "/a", crud(watch)), "no feeds"),
            (
                quote!(topic = "t", path = "/a", crud(gett)),
                "did you mean `get`",
            ),
            (quote!(topic = "t", path = "/a", crud(get, get)), "twice"),
            (quote!(topic = "t", format = "bytes"), "have no fields"),
            (quote!(topic = "t", format = "jsn"), "did you mean `json`"),
        ];
        for (tokens, part) in rows {
            let errors = Errors::new();
            ExternalAttr::parse(tokens.clone(), &errors);
            assert_eq!(errors.count(), 1, "{tokens}");
            let text = errors.finish().map(|it| it.to_string()).unwrap_or_default();
            assert!(text.contains(part), "{tokens}: {text}");
        }
    }
}
