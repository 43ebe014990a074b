//! The arguments of attributes -> values that keep their tokens.

mod arguments;
mod event;
mod external;
mod words;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{
    Attribute, Expr, ExprLit, Lit, LitStr, Meta, Token,
    ext::IdentExt as _,
    parse::{ParseStream, Parser as _},
};

use self::{
    arguments::{Argument, Value, arguments, flag, partitions, string},
    words::{ack, crud},
};
pub(crate) use self::{event::EventAttr, external::ExternalAttr};
use crate::{
    errors::Errors,
    near::{did_you_mean, list},
    symbols::{
        ACK, Ack, CRUD, Crud, EXTERNAL, GLOBAL, Method, PARTITIONS, PATH, STATE_WORDS, TOPIC,
    },
    template::{Root, Template},
};

/// How `#[stateful_api]` is written.
pub(crate) const STATE_FORM: &str = "#[stateful_api(path = \"/vertex\", crud(get, list))]";

/// `#[stateful_api(…)]`, as far as it was right.
#[derive(Debug, Default)]
pub(crate) struct StateAttr {
    pub(crate) path: Option<Template>,
    pub(crate) topic: Option<LitStr>,
    pub(crate) partitions: Option<u32>,
    pub(crate) global: bool,
    pub(crate) crud: Vec<Crud>,
    pub(crate) ack: Vec<Ack>,
    /// Where `path` and `crud` stand.
    pub(crate) of_paths: Vec<Ident>,
    /// How the attribute is written.
    pub(crate) form: &'static str,
    /// Others write it.
    pub(crate) is_external: bool,
}

impl StateAttr {
    /// `needs_path`: the paths of a state with an `#[entity]` are those of a document.
    pub(crate) fn parse(tokens: TokenStream, needs_path: bool, errors: &Errors) -> Self {
        let mut attr = Self {
            form: STATE_FORM,
            ..Self::default()
        };
        if tokens.is_empty() && needs_path {
            errors.push_error(syn::Error::new(
                Span::call_site(),
                format!("a state needs a path: `{STATE_FORM}`"),
            ));
            return attr;
        }
        let all = tokens.clone();
        let mut seen: Vec<(String, Ident)> = Vec::new();
        let mut path_given = false;
        for argument in arguments(tokens, STATE_FORM, errors) {
            let Argument { name, value } = argument;
            let Some(name) = name else {
                path_given |= attr.bare_value(&value, errors);
                continue;
            };
            let word = name.unraw().to_string();
            if seen.iter().any(|(other, _)| *other == word) {
                errors.push(&name, format!("`{word}` is given twice: keep one"));
                continue;
            }
            seen.push((word.clone(), name.clone()));
            if word == PATH || word == CRUD {
                attr.of_paths.push(name.clone());
            }
            match word.as_str() {
                PATH => {
                    path_given = true;
                    attr.path = string(&name, &value, "/vertex", errors)
                        .and_then(|literal| Template::parse(&literal, Root::Refused, errors));
                }
                TOPIC => attr.topic = string(&name, &value, "vertex", errors),
                PARTITIONS => attr.partitions = partitions(&name, &value, errors),
                GLOBAL => attr.global = flag(&name, &value, errors),
                CRUD => attr.crud = crud(&name, &value, errors),
                ACK => attr.ack = ack(&name, &value, errors),
                EXTERNAL => errors.push(
                    &name,
                    "what others write has an attribute of its own: `#[external(topic = \"rates\", path = \"/rate\", crud(get, list))]` instead of this one",
                ),
                _ => errors.push(
                    &name,
                    match (Crud::of(&word), did_you_mean(&word, &STATE_WORDS)) {
                        (Some(_), _) => format!("`{word}` belongs into `crud({word}, …)`"),
                        (None, near) if near.is_empty() => {
                            format!("`{word}` is not known here, only {}", list(&STATE_WORDS))
                        }
                        (None, near) => format!("`{word}` is not known here{near}"),
                    },
                ),
            }
        }
        if needs_path
            && !path_given
            && !seen
                .iter()
                .any(|(word, _)| !did_you_mean(word, &[PATH]).is_empty())
        {
            errors.push(&all, format!("a state needs a path: `{STATE_FORM}`"));
        }
        if attr.global
            && let Some((_, name)) = seen.iter().find(|(word, _)| word == PARTITIONS)
        {
            errors.push(
                name,
                "a `global` state has one partition: remove `partitions` or `global`",
            );
        }
        attr
    }

    /// A value without a name. Returns whether it was meant as the path.
    fn bare_value(&mut self, value: &Value, errors: &Errors) -> bool {
        if let Value::Bare(Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        })) = value
            && literal.value().starts_with('/')
        {
            errors.push(
                literal,
                format!("name the value: `path = \"{}\"`", literal.value()),
            );
            self.path = Template::parse(literal, Root::Refused, errors);
            return true;
        }
        errors.push(value, format!("a value needs a name: `{STATE_FORM}`"));
        false
    }
}

/// What `get("/path")` on a method or `handler(get, "/path")` on a function says.
#[derive(Debug)]
pub(crate) struct RouteAttr {
    pub(crate) method: Method,
    /// Where the method stands: a route that exists twice is reported there.
    pub(crate) word: Ident,
    pub(crate) path: Template,
}

impl RouteAttr {
    /// `#[get("/path")]` on a method.
    pub(crate) fn of_method(attribute: &Attribute, errors: &Errors) -> Option<Self> {
        let word = attribute.path().get_ident()?.clone();
        let method = Method::of(&word.to_string())?;
        let form = format!("`#[{word}(\"/{{id}}/…\")]`, a path below that of the state");
        let literal = match &attribute.meta {
            Meta::Path(path) => {
                errors.push(path, format!("`#[{word}]` needs a path: {form}"));
                return None;
            }
            Meta::NameValue(pair) => {
                errors.push(pair, format!("the path stands in parentheses: {form}"));
                return None;
            }
            Meta::List(list) if list.tokens.is_empty() => {
                errors.push(list, format!("`#[{word}]` needs a path: {form}"));
                return None;
            }
            Meta::List(list) => one_path(list.tokens.clone(), &form, errors)?,
        };
        Some(Self {
            method,
            word,
            path: Template::parse(&literal, Root::Refused, errors)?,
        })
    }

    /// `#[handler(post, "/path")]` on a function.
    pub(crate) fn of_function(tokens: &TokenStream, errors: &Errors) -> Option<Self> {
        let form = "`#[handler(get, \"/connect/{a}/{b}\")]`";
        if tokens.is_empty() {
            errors.push_error(syn::Error::new(
                Span::call_site(),
                format!("a handler needs a method and a path: {form}"),
            ));
            return None;
        }
        let mut rest = tokens.clone().into_iter();
        let first = rest.next();
        let word = match first {
            Some(TokenTree::Ident(word)) => word,
            Some(TokenTree::Literal(literal)) => {
                let guess = match syn::parse2::<LitStr>(literal.to_token_stream()) {
                    Ok(text) if text.value().starts_with('/') => {
                        format!(
                            "the method is missing: `#[handler(get, \"{}\")]`",
                            text.value()
                        )
                    }
                    Ok(text) if Method::of(&text.value().to_lowercase()).is_some() => {
                        let word = text.value().to_lowercase();
                        format!("the method is a plain word: `#[handler({word}, \"/…\")]`")
                    }
                    _ => format!("a handler needs a method and a path: {form}"),
                };
                errors.push(literal, guess);
                return None;
            }
            _ => {
                errors.push(
                    tokens,
                    format!("a handler needs a method and a path: {form}"),
                );
                return None;
            }
        };
        let text = word.unraw().to_string();
        let method = Method::of(&text);
        if method.is_none() {
            errors.push(
                &word,
                match (Method::why_not(&text), did_you_mean(&text, &Method::WORDS)) {
                    (Some(why), _) => format!("{why}: write one of {}", list(&Method::WORDS)),
                    (None, near) if near.is_empty() => {
                        format!(
                            "`{text}` is not a method: write one of {}",
                            list(&Method::WORDS)
                        )
                    }
                    (None, near) => format!("`{text}` is not a method{near}"),
                },
            );
        }
        match rest.next() {
            Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => {}
            None => {
                errors.push(
                    &word,
                    format!("a handler needs a path: `#[handler({text}, \"/…\")]`"),
                );
                return None;
            }
            Some(other) => {
                errors.push(
                    other,
                    format!("a comma stands between method and path: {form}"),
                );
                return None;
            }
        }
        let rest: TokenStream = rest.collect();
        if rest.is_empty() {
            errors.push(
                &word,
                format!("a handler needs a path: `#[handler({text}, \"/…\")]`"),
            );
            return None;
        }
        let path = Template::parse(&one_path(rest, form, errors)?, Root::Allowed, errors);
        Some(Self {
            method: method?,
            word,
            path: path?,
        })
    }
}

/// One string literal, and nothing after it.
fn one_path(tokens: TokenStream, form: &str, errors: &Errors) -> Option<LitStr> {
    let parser = |input: ParseStream<'_>| {
        let value: Expr = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok((value, input.parse::<TokenStream>()?))
    };
    match parser.parse2(tokens.clone()) {
        Ok((
            Expr::Lit(ExprLit {
                lit: Lit::Str(literal),
                ..
            }),
            rest,
        )) => {
            if rest.is_empty() {
                return Some(literal);
            }
            errors.push(rest, format!("nothing follows the path: {form}"));
        }
        Ok((other, _)) => errors.push(other, format!("the path is a string literal: {form}")),
        Err(_) => errors.push(tokens, format!("the path is a string literal: {form}")),
    }
    None
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn mistakes(errors: Errors) -> String {
        errors
            .finish()
            .map(|tokens| tokens.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_state_attribute_is_read() {
        let errors = Errors::new();
        let tokens = quote!(
            path = "/a/{b}/c",
            topic = "t",
            partitions = 4_u32,
            crud(get, list,),
        );
        let attr = StateAttr::parse(tokens, true, &errors);
        assert_eq!(mistakes(errors), "");
        assert_eq!(
            attr.path.map(|path| path.placeholders),
            Some(vec!["b".to_owned()])
        );
        assert_eq!(attr.topic.map(|topic| topic.value()), Some("t".to_owned()));
        assert_eq!((attr.partitions, attr.global), (Some(4), false));
        assert_eq!(attr.crud, [Crud::Get, Crud::List]);
    }

    #[test]
    fn wrong_arguments_are_named_and_the_others_are_read() {
        let rows = [
            (quote!(partitions = 0), "at least one"),
            (quote!(partitions = 4097), "too many"),
            (quote!(partitions = 99999999999999999999999), "too many"),
            (quote!(partitions = -1), "not negative"),
            (quote!(partitions = "4"), "no string"),
            (quote!(partitions = 4u8), "not a number"),
            (quote!(partitions = 4.0), "takes an integer"),
            (quote!(partitions = COUNT), "is a literal"),
            (quote!(partitions), "takes an integer"),
            (quote!(partitions(4)), "takes an integer"),
            (quote!(topic = 5), "string literal"),
            (quote!(topic = vertex), "`topic = \\\"vertex\\\"`"),
            (quote!(global = true), "takes no value"),
            (quote!(global, partitions = 1), "remove `partitions`"),
            (quote!(crud), "lists operations"),
            (quote!(crud = "get"), "in parentheses"),
            (quote!(crud()), "lists nothing"),
            (quote!(crud(get, get)), "twice"),
            (quote!(crud(gett)), "did you mean `get`"),
            (quote!(crud(create)), "`post` instead of"),
            (quote!(crud("get")), "plain word"),
            (quote!(crud(get, , list)), "is missing here"),
            (quote!(crud(get list)), "no operation"),
            (quote!(crud(put, watch)), "what `get` and `list` show"),
            (quote!(get), "belongs into `crud(get, …)`"),
            (quote!(topik = "x"), "did you mean `topic`"),
            (quote!(retention = 1), "only `path`"),
            (quote!(topic = "a", topic = "b"), "twice"),
            (quote!(global topic = "x"), "a comma is missing"),
            (quote!(5), "needs a name"),
            (quote!(=), "not understood"),
            (quote!(, crud(get)), "is missing here"),
        ];
        for (tokens, part) in rows {
            let errors = Errors::new();
            let attr = StateAttr::parse(quote!(path = "/x", #tokens), true, &errors);
            assert!(attr.path.is_some(), "{tokens}");
            assert_eq!(errors.count(), 1, "{tokens}");
            let text = mistakes(errors);
            assert!(text.contains(part), "{tokens}: {text}");
        }
    }

    #[test]
    fn a_path_is_asked_for_once() {
        for tokens in [
            quote!(),
            quote!(global),
            quote!(pth = "/x"),
            quote!("/x"),
            quote!(path = x),
        ] {
            let errors = Errors::new();
            StateAttr::parse(tokens.clone(), true, &errors);
            assert_eq!(errors.count(), 1, "{tokens}");
            assert!(mistakes(errors).contains("path"), "{tokens}");
        }
    }

    #[test]
    fn a_function_route_is_read_or_explained() {
        let errors = Errors::new();
        let route = RouteAttr::of_function(&quote!(post, "/a/{b}",), &errors).expect("it is right");
        assert_eq!(
            (route.method, mistakes(errors).as_str()),
            (Method::Post, "")
        );
        let rows = [
            (quote!(), "method and a path"),
            (quote!(get), "needs a path"),
            (quote!(get,), "needs a path"),
            (quote!("/a"), "method is missing"),
            (quote!("POST", "/a"), "plain word"),
            (quote!(pots, "/a"), "did you mean `post`"),
            (quote!(head, "/a"), "answered by the route of `get`"),
            (quote!(frobnicate, "/a"), "is not a method"),
            (quote!(get "/a"), "a comma"),
            (quote!(get, a), "string literal"),
            (quote!(get, "/a", 1), "nothing follows"),
            (quote!(get, "a"), "start with"),
        ];
        for (tokens, part) in rows {
            let errors = Errors::new();
            assert!(
                RouteAttr::of_function(&tokens, &errors).is_none(),
                "{tokens}"
            );
            assert_eq!(errors.count(), 1, "{tokens}");
            let text = mistakes(errors);
            assert!(text.contains(part), "{tokens}: {text}");
        }
    }
}
