//! Pages of a list, in the terms of the document: its parameters, and what its reply says of the next page.

#[cfg(test)]
mod tests;

use axum::http::Uri;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{
    decision::{Action, OperationDecision},
    schema::{Schema, put, tokens},
    success::declared_body,
};
use crate::{
    config::Limits,
    contract::parameters::escape,
    crud::SEGMENT,
    filter::{Filter, Limit},
    key::push_part,
    problem::Problem,
    select::{LOOKED_AT_MAX, Selection},
};

/// How a list is asked for, and what it says of itself.
#[derive(Debug, Default)]
pub(crate) struct Paging {
    limit: Option<String>,
    after: Option<String>,
    offset: Option<String>,
    page: Option<String>,
    /// The number of the first page.
    first_page: u64,
    next: Option<Next>,
    total: Option<String>,
    more: Option<String>,
    /// The parameter, and the place in the entity.
    filters: Vec<(String, String)>,
    /// Places of the reply that say again what was asked for.
    echoes: Vec<(Asked, String)>,
}

/// What a reply says of the next page.
#[derive(Debug)]
struct Next {
    at: String,
    form: NextForm,
    is_nullable: bool,
    is_required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextForm {
    /// The value of the parameter that asks for it.
    Text,
    /// The same as a number.
    Number,
    /// A URL.
    Link,
    /// A URL without scheme and host.
    Reference,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Limit,
    Offset,
    Page,
}

/// The page that a request asks for.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) selection: Selection,
    /// The number of the page, if the document numbers them.
    number: u64,
    /// What was asked for; the selection has no more than its limit.
    offset: u64,
}

impl Page {
    /// Whether it is further behind than pages are counted.
    pub(crate) fn is_beyond(&self) -> bool {
        self.offset > LOOKED_AT_MAX as u64
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many entities the page has.
    pub(crate) count: usize,
    /// The cursor to the next page, if there is one.
    pub(crate) next: Option<String>,
    pub(crate) total: u64,
}

impl Paging {
    /// The paging of an operation.
    pub(crate) fn new(
        document: &Value,
        path: &str,
        operation: &Value,
        decision: &OperationDecision,
    ) -> Self {
        if decision.action != Action::List {
            return Self::default();
        }
        let list = decision.list.clone();
        let body = declared_body(document, operation, decision);
        let mut paging = Self {
            first_page: 1,
            next: list
                .next
                .map(|at| Next::new(body, at, list.after.is_some())),
            filters: list.filters.into_iter().collect(),
            limit: list.limit,
            after: list.after,
            offset: list.offset,
            page: list.page,
            total: list.total,
            more: list.more,
            echoes: Vec::new(),
        };
        if let Some(name) = &paging.page
            && let Some(schema) = parameter(document, path, operation, name)
            && ["default", "minimum"]
                .iter()
                .any(|word| schema.keyword(word) == Some(&json!(0)))
        {
            paging.first_page = 0;
        }
        let mut beside: Vec<&str> = [decision.reply.as_deref(), paging.total.as_deref()]
            .into_iter()
            .flatten()
            .filter_map(|at| Some(at.rsplit_once('/')?.0))
            .collect();
        beside.dedup();
        let asked = [
            (Asked::Limit, &paging.limit),
            (Asked::Offset, &paging.offset),
            (Asked::Page, &paging.page),
        ];
        for (asked, name) in asked {
            let Some(name) = name else { continue };
            for parent in &beside {
                let at = format!("{parent}/{name}");
                let schema = body.and_then(|body| body.at(&at));
                if schema.is_some_and(|schema| schema.types().contains(&"integer")) {
                    paging.echoes.push((asked, at));
                }
            }
        }
        paging
    }

    /// Places in the reply besides that of the list.
    pub(crate) fn places(&self) -> impl Iterator<Item = &str> {
        let next = self.next.as_ref().map(|next| next.at.as_str());
        next.into_iter()
            .chain(self.total.as_deref())
            .chain(self.more.as_deref())
    }

    /// The page that a request asks for. `within` is what all keys begin with, `parts_left` how many parts a key has behind it; `field` is
    /// where the state has the entity.
    ///
    /// # Errors
    /// 501 for a filter that is neither values nor limits of one.
    pub(crate) fn page(
        &self,
        parameters: &Map<String, Value>,
        limits: &Limits,
        within: String,
        parts_left: usize,
        field: &str,
    ) -> Result<Page, Problem> {
        let number = |name: &Option<String>| {
            let value = given(parameters, name.as_deref()?)?;
            // What is below the first page is the first page.
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        let pages = [&self.limit, &self.after, &self.offset, &self.page];
        let usual = if pages.iter().any(|name| name.is_some()) {
            limits.list_limit_default
        } else {
            // Without a way to ask for the next page, the first one is all that a client gets.
            limits.list_limit_max
        };
        let limit = number(&self.limit)
            .filter(|limit| *limit > 0)
            .map_or(usual, |limit| {
                usize::try_from(limit)
                    .unwrap_or(usize::MAX)
                    .min(limits.list_limit_max)
            });
        let page = number(&self.page)
            .unwrap_or(self.first_page)
            .max(self.first_page);
        let offset = match number(&self.offset) {
            Some(offset) => offset,
            None => (page - self.first_page).saturating_mul(limit as u64),
        };
        let after = self
            .after
            .as_deref()
            .and_then(|name| super::operation::part_text(given(parameters, name)?))
            .filter(|text| !text.is_empty())
            .map(|text| after_key(&within, parts_left, &text));
        let filters = self.filters.iter().filter_map(|(name, at)| {
            let at = format!("/{}{at}", escape(field));
            filter(name, at, given(parameters, name)?).transpose()
        });
        let filters = filters.collect::<Result<_, _>>()?;
        let beyond = offset > LOOKED_AT_MAX as u64;
        Ok(Page {
            selection: Selection {
                within,
                from: None,
                prefix: String::new(),
                after,
                filters,
                offset: usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(LOOKED_AT_MAX),
                limit,
                count: self.total.is_some() || beyond,
            },
            number: page,
            offset,
        })
    }

    /// 400 for a cursor that is none.
    pub(crate) fn wrong_cursor(&self, what: &str) -> Problem {
        let name = self.after.as_deref().unwrap_or("after");
        Problem::bad_request(format!("`{name}` is no cursor of this list: {what}"))
            .with_error(name, "is no cursor of this list")
    }

    /// 400 for a page that is further behind than pages are counted.
    pub(crate) fn too_far(&self) -> Problem {
        let name = self
            .offset
            .as_deref()
            .or(self.page.as_deref())
            .unwrap_or_default();
        Problem::bad_request(format!(
            "`{name}` is too far behind: the first {LOOKED_AT_MAX} entities can be had so"
        ))
        .with_extension("limit", LOOKED_AT_MAX)
        .with_error(name, "is too large")
    }

    /// Says in the reply what the page is. Returns the link to the next one.
    pub(crate) fn describe(
        &self,
        whole: &mut Value,
        page: &Page,
        outcome: &Outcome,
        base: &str,
        uri: &Uri,
    ) -> Option<String> {
        let next = self.next_value(page, outcome);
        let link = next.as_ref().map(|(name, value)| {
            link(
                uri,
                name,
                &super::operation::part_text(value).unwrap_or_default(),
            )
        });
        if !whole.is_object() {
            return link.map(|link| format!("{base}{link}"));
        }
        for (asked, at) in &self.echoes {
            let value = match asked {
                Asked::Limit => page.selection.limit as u64,
                Asked::Offset => page.offset,
                Asked::Page => page.number,
            };
            put(whole, at, json!(value));
        }
        if let Some(at) = &self.total {
            put(whole, at, json!(outcome.total));
        }
        if let Some(at) = &self.more {
            put(whole, at, json!(outcome.next.is_some()));
        }
        if let Some(place) = &self.next {
            let value = match (&next, &link) {
                (Some((_, value)), Some(link)) => Some(match place.form {
                    NextForm::Text => match value {
                        Value::String(_) => value.clone(),
                        other => json!(other.to_string()),
                    },
                    NextForm::Number => value.clone(),
                    NextForm::Link => json!(format!("{base}{link}")),
                    NextForm::Reference => json!(link),
                }),
                _ if place.is_nullable => Some(Value::Null),
                _ if place.is_required && place.form != NextForm::Number => Some(json!("")),
                _ if place.is_required => Some(json!(0)),
                _ => None,
            };
            match value {
                Some(value) => put(whole, &place.at, value),
                None => remove(whole, &place.at),
            }
        }
        link.map(|link| format!("{base}{link}"))
    }

    /// The parameter that asks for the next page, and its value.
    fn next_value(&self, page: &Page, outcome: &Outcome) -> Option<(&str, Value)> {
        let cursor = outcome.next.as_ref()?;
        if let Some(name) = &self.after {
            return Some((name, json!(cursor)));
        }
        if let Some(name) = &self.page {
            return Some((name, json!(page.number + 1)));
        }
        let name = self.offset.as_deref()?;
        Some((name, json!(page.offset + outcome.count as u64)))
    }
}

impl Next {
    fn new(body: Option<Schema<'_>>, at: String, has_cursor: bool) -> Self {
        let schema = body.and_then(|body| body.at(&at));
        let types = schema.map(Schema::types).unwrap_or_default();
        let format = schema.and_then(|schema| schema.keyword("format")?.as_str());
        let mut names: Vec<String> = tokens(&at).collect();
        let name = names.pop().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let is_named_link = ["link", "url", "uri", "href"]
            .iter()
            .any(|word| lower.ends_with(word));
        let among_links = names
            .last()
            .is_some_and(|parent| parent.to_ascii_lowercase().ends_with("links"));
        let form = if types.contains(&"integer") || types.contains(&"number") {
            NextForm::Number
        } else if format.is_some_and(|format| format.ends_with("-reference")) {
            NextForm::Reference
        } else if format.is_some_and(|format| matches!(format, "uri" | "url" | "iri"))
            || is_named_link
            || among_links
            || (lower == "next" && !has_cursor)
        {
            NextForm::Link
        } else {
            NextForm::Text
        };
        let parent = at.rsplit_once('/').map_or("", |(parent, _)| parent);
        let is_required = body
            .and_then(|body| body.at(parent))
            .is_some_and(|parent| parent.required().contains(&name.as_str()));
        Self {
            form,
            is_nullable: types.contains(&"null"),
            is_required,
            at,
        }
    }
}

/// The filter that a parameter means: one value, any of several, or limits (`created[gte]=7`).
fn filter(name: &str, at: String, value: &Value) -> Result<Option<Filter>, Problem> {
    let (mut any, mut limits) = (Vec::new(), Vec::new());
    match value {
        Value::Null => {}
        Value::Array(values) => any.clone_from(values),
        Value::Object(bounds) => {
            for (word, bound) in bounds {
                let limit = match word.as_str() {
                    "gt" | "after" => Limit::Above,
                    "gte" | "ge" | "min" | "from" => Limit::From,
                    "lt" | "before" => Limit::Below,
                    "lte" | "le" | "max" | "to" => Limit::To,
                    _ => {
                        let what = format!("`{name}[{word}]` is not supported here; leave it out");
                        let problem = Problem::not_implemented(what);
                        return Err(problem.with_error(name, "is not supported here"));
                    }
                };
                limits.push((limit, bound.clone()));
            }
        }
        one => any.push(one.clone()),
    }
    let is_one = !(any.is_empty() && limits.is_empty());
    Ok(is_one.then_some(Filter { at, any, limits }))
}

/// A parameter of the query by its name, also if a parameter of the path has that name.
fn given<'p>(parameters: &'p Map<String, Value>, name: &str) -> Option<&'p Value> {
    parameters
        .get(&format!("query:{name}"))
        .or_else(|| parameters.get(name))
        .filter(|value| !value.is_null())
}

/// The schema of a parameter.
fn parameter<'d>(
    document: &'d Value,
    path: &str,
    operation: &'d Value,
    name: &str,
) -> Option<Schema<'d>> {
    let of_path = document.get("paths")?.get(path)?.get("parameters");
    [operation.get("parameters"), of_path]
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(
            |parameter| match parameter.get("$ref").and_then(Value::as_str) {
                Some(reference) => Some(Schema::by_reference(document, reference)?.value),
                None => Some(parameter),
            },
        )
        .find(|parameter| parameter["name"] == *name && parameter["in"] == "query")
        .and_then(|parameter| parameter.get("schema"))
        .map(|schema| Schema::new(document, schema))
}

/// The text of the key that a cursor means. The only part that is left is in a cursor as it is, so that an id is a cursor.
fn after_key(within: &str, parts_left: usize, cursor: &str) -> String {
    let mut text = within.to_owned();
    if parts_left == 1 && !within.is_empty() {
        push_part(&mut text, cursor);
    } else {
        text.push_str(cursor);
    }
    text
}

/// The cursor that means a key.
pub(crate) fn cursor(within: &str, parts_left: usize, key: &str) -> String {
    let rest = key.strip_prefix(within).unwrap_or(key);
    if parts_left == 1 && !within.is_empty() {
        percent_decode_str(rest).decode_utf8_lossy().into_owned()
    } else {
        rest.to_owned()
    }
}

/// The same target with another value of one parameter.
fn link(uri: &Uri, name: &str, value: &str) -> String {
    let is_it = |pair: &&str| {
        let given = pair.split('=').next().unwrap_or_default();
        percent_decode_str(given).decode_utf8_lossy() != name
    };
    let encode = |text| utf8_percent_encode(text, SEGMENT).to_string();
    let pairs = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    let mut pairs: Vec<String> = pairs.filter(is_it).map(str::to_owned).collect();
    pairs.push(format!("{}={}", encode(name), encode(value)));
    format!("{}?{}", uri.path(), pairs.join("&"))
}

fn remove(whole: &mut Value, at: &str) {
    let Some((parent, _)) = at.rsplit_once('/') else {
        return;
    };
    let name = tokens(at).last().unwrap_or_default();
    if let Some(Value::Object(fields)) = whole.pointer_mut(parent) {
        fields.remove(&name);
    }
}
