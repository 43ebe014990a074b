//! Values that are words in parentheses: `crud(get, list)`, `ack(leader, os)`.

use proc_macro2::Ident;
use quote::quote;
use syn::{LitStr, ext::IdentExt as _, parse::Parser as _};

use super::arguments::{Value, split};
use crate::{
    errors::Errors,
    near::{did_you_mean, list},
    symbols::{Ack, Crud},
};

/// How `ack` is written.
const ACK_FORM: &str =
    "`ack(leader, os)`: `all` or `leader` for Kafka, `fsync` or `os` for the embedded log";

pub(super) fn crud(name: &Ident, value: &Value, errors: &Errors) -> Vec<Crud> {
    let form = format!("`crud(get, list)`, any of {}", list(&Crud::WORDS));
    let (mut found, mut watch) = (Vec::new(), None);
    for (word, text) in words(name, value, ["an operation", "operation"], &form, errors) {
        match Crud::of(&text) {
            Some(operation) if found.contains(&operation) => {
                errors.push(word, format!("`{text}` is listed twice: keep one"));
            }
            Some(operation) => {
                if operation == Crud::Watch {
                    watch = Some(word);
                }
                found.push(operation);
            }
            None => errors.push(
                word,
                match (synonym(&text), did_you_mean(&text, &Crud::WORDS)) {
                    (Some(meant), _) => {
                        format!("operations have the names of HTTP: `{meant}` instead of `{text}`")
                    }
                    (None, near) if near.is_empty() => {
                        format!(
                            "`{text}` is no operation: write any of {}",
                            list(&Crud::WORDS)
                        )
                    }
                    (None, near) => format!("`{text}` is no operation{near}"),
                },
            ),
        }
    }
    if let Some(watch) = watch
        && !found
            .iter()
            .any(|other| matches!(other, Crud::Get | Crud::List))
    {
        errors.push(
            watch,
            "`watch` makes feeds of what `get` and `list` show: `crud(get, watch)`, `crud(get, list, watch)`",
        );
    }
    found
}

/// Operations of what others write.
pub(super) fn reads(name: &Ident, value: &Value, errors: &Errors) -> Vec<Crud> {
    let form = "`crud(get, list)`, one of them or both";
    let mut found = Vec::new();
    for (word, text) in words(name, value, ["an operation", "operation"], form, errors) {
        match Crud::of(&text) {
            Some(operation) if found.contains(&operation) => {
                errors.push(word, format!("`{text}` is listed twice: keep one"));
            }
            Some(operation @ (Crud::Get | Crud::List)) => found.push(operation),
            Some(Crud::Watch) => errors.push(
                word,
                "an external state has no feeds: whoever wants each change reads its topic",
            ),
            Some(_) => errors.push(
                word,
                format!("others write it, by its topic: there is no `{text}` here, only {form}"),
            ),
            None => errors.push(
                word,
                match did_you_mean(&text, &Crud::READS) {
                    near if near.is_empty() => format!("`{text}` is no operation of it: {form}"),
                    near => format!("`{text}` is no operation of it{near}"),
                },
            ),
        }
    }
    found
}

pub(super) fn ack(name: &Ident, value: &Value, errors: &Errors) -> Vec<Ack> {
    let mut found: Vec<Ack> = Vec::new();
    for (word, text) in words(name, value, ["a level", "level"], ACK_FORM, errors) {
        let Some(ack) = Ack::of(&text) else {
            let near = did_you_mean(&text, &Ack::WORDS);
            let rest = if near.is_empty() {
                format!(": {ACK_FORM}")
            } else {
                near
            };
            errors.push(word, format!("`{text}` is no level{rest}"));
            continue;
        };
        if found.iter().any(|other| other.log() == ack.log()) {
            errors.push(
                word,
                format!("{} has one level: keep one of them", ack.log()),
            );
        } else {
            found.push(ack);
        }
    }
    found
}

/// The words that a value lists, with their texts. What is no word is reported, and the others are read all the same. `one` of them is an operation, say; `noun` is
/// that without its article.
fn words(
    name: &Ident,
    value: &Value,
    [one, noun]: [&str; 2],
    form: &str,
    errors: &Errors,
) -> Vec<(Ident, String)> {
    let group = match value {
        Value::List(group) => group,
        Value::None => {
            errors.push(name, format!("`{name}` lists {noun}s: {form}"));
            return Vec::new();
        }
        value => {
            errors.push(
                value,
                format!("`{name}` lists {noun}s in parentheses: {form}"),
            );
            return Vec::new();
        }
    };
    if group.stream().is_empty() {
        errors.push(
            quote!(#name #group),
            format!("`{name}()` lists nothing: remove it, or write {form}"),
        );
    }
    let mut found = Vec::new();
    for (part, comma) in split(group.stream()) {
        if part.is_empty() {
            errors.push(comma, format!("{one} is missing here: {form}"));
            continue;
        }
        let parser = Ident::parse_any;
        let Ok(word) = parser.parse2(part.clone()) else {
            let message = match syn::parse2::<LitStr>(part.clone()) {
                Ok(text) => format!("{one} is a plain word: `{}`", text.value()),
                Err(_) => format!("this is no {noun}: {form}"),
            };
            errors.push(part, message);
            continue;
        };
        let text = word.unraw().to_string();
        found.push((word, text));
    }
    found
}

/// The words of other systems.
fn synonym(word: &str) -> Option<&'static str> {
    Some(match word {
        "create" | "insert" | "add" => "post",
        "read" | "fetch" | "find" => "get",
        "update" | "upsert" | "replace" => "put",
        "merge" | "modify" => "patch",
        "remove" | "destroy" => "delete",
        "all" | "index" | "scan" | "query" => "list",
        _ => return None,
    })
}
