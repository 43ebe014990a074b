//! What an operation does with a resource, and how.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    candidate::Candidate,
    list,
    path::{field, last, placeholders, same_route},
    shape::{self, Shape},
};
use crate::model::{Action, Operation, Place};

/// Query parameters that change how a reply looks, and may be left aside.
const COSMETIC: [&str; 18] = [
    "pretty",
    "opt_pretty",
    "opt_fields",
    "fields",
    "expand",
    "include",
    "prettyprint",
    "format",
    "lang",
    "locale",
    "fieldmanager",
    "fieldvalidation",
    "timeoutseconds",
    "allowwatchbookmarks",
    "resourceversionmatch",
    "apikey",
    "api_key",
    "key",
];

impl Candidate<'_> {
    /// `/apis/apps/v1/deployments` beside `/apis/apps/v1/namespaces/{namespace}/deployments`.
    pub(super) fn is_wider_list(&self, path: &str) -> bool {
        self.key.len() > 1 && !path.contains('{') && last(path) == last(&self.collection)
    }

    /// The key's parts as they stand in the path of an operation.
    pub(super) fn path_key(operation: &Operation, parts: usize) -> Vec<Value> {
        let names = placeholders(&operation.path).into_iter().take(parts);
        names
            .map(|name| json!({ "parameter": field(operation, name) }))
            .collect()
    }

    /// What a method at a path usually does.
    pub(super) fn action(&self, operation: &Operation) -> Option<Action> {
        let method = operation.method.as_str();
        if same_route(&operation.path, &self.item) {
            return match method {
                "get" => Some(Action::Get),
                "put" => Some(Action::Replace),
                "patch" | "post" => Some(Action::Update),
                "delete" => Some(Action::Delete),
                _ => None,
            };
        }
        if same_route(&operation.path, &self.collection) {
            return match method {
                "get" => Some(Action::List),
                "post" => Some(Action::Create),
                "put" => Some(Action::Replace),
                _ => None,
            };
        }
        (method == "get" && self.is_wider_list(&operation.path)).then_some(Action::List)
    }

    /// A `PUT` that asks for less than an entity, or says so, is an update.
    pub(super) fn refined(
        &self,
        action: Action,
        operation: &Operation,
        document: &Value,
    ) -> Option<Action> {
        if action != Action::Replace {
            return Some(action);
        }
        let request = shape::request(document, operation, &self.schema)?;
        let says = operation.description.to_lowercase();
        let partial = [
            "partial",
            "only the fields",
            "unspecified fields",
            "fields that are not",
            "fields you want to",
        ];
        if partial.iter().any(|words| says.contains(words)) || !self.is_whole(&request.shape) {
            return Some(Action::Update);
        }
        Some(Action::Replace)
    }

    /// How an operation does this, if it can: the decision and why.
    pub(super) fn act(
        &self,
        action: Action,
        operation: &Operation,
        document: &Value,
        parent: Option<&Candidate<'_>>,
    ) -> Option<(Action, Value, String)> {
        let name = &self.name;
        let in_path = placeholders(&operation.path).len();
        if action == Action::List {
            let key = Self::path_key(operation, self.key.len() - 1);
            let value = list::decide(operation, document, &self.schema, &key)?;
            let reason = match (self.key.len(), key.len()) {
                (1, _) => format!("lists all of `{name}`"),
                (_, 0) => format!("lists all of `{name}`, of every parent"),
                _ => format!("lists `{name}` of one parent"),
            };
            return Some((action, value, reason));
        }
        let reply = shape::reply(document, operation, Some(&self.schema));
        let (status, pointer) = match &reply {
            Some((status, found)) => (*status, Some(found.pointer.clone())),
            // What a deletion says besides is what its schema asks for at least.
            None if shape::is_bodiless(operation) || action == Action::Delete => {
                (shape::status(operation), None)
            }
            None => return None,
        };
        let mut value = json!({ "status": status });
        if let Some(pointer) = pointer {
            value["reply"] = pointer.into();
        }
        let mut key = Self::path_key(operation, self.key.len());
        let request = match action {
            Action::Create | Action::Replace | Action::Update => {
                let found = shape::request(document, operation, &self.schema);
                let found = found.or_else(|| {
                    let patch = operation.method == "patch";
                    patch.then(|| shape::patch(document, operation)).flatten()
                })?;
                value["request"] = found.pointer.clone().into();
                Some(found.shape)
            }
            Action::Get | Action::Delete | Action::List => None,
        };
        let last = self.key.last()?;
        let in_body = last.at.as_deref().filter(|at| {
            let property = request.as_ref().and_then(|request| request.at(at));
            property.is_some_and(|property| !property.flag("readOnly"))
        });
        if action == Action::Create {
            key.truncate(self.key.len() - 1);
        }
        if key.len() + 1 == self.key.len() {
            key.push(match (in_body, action) {
                (Some(at), Action::Create | Action::Replace | Action::Update) => {
                    json!({ "body": at })
                }
                (None, Action::Create) => json!({ "server": last.kind }),
                _ => return None,
            });
        }
        if key.len() != self.key.len() || in_path > self.key.len() {
            return None;
        }
        value["key"] = key.into();
        let reason = match action {
            Action::Create => {
                if let Some(parent) = parent {
                    value["parent"] = json!({ "state": parent.name });
                }
                match in_body {
                    Some(_) => {
                        format!("makes one of `{name}`, with the key in its body or else a new one")
                    }
                    None => format!("makes one of `{name}`, with a key of the server's"),
                }
            }
            Action::Get => {
                reply?;
                format!("reads one of `{name}` by its key")
            }
            Action::Delete => format!("removes one of `{name}`"),
            Action::Update => format!("changes some fields of one of `{name}`"),
            Action::Replace => {
                let must_exist =
                    shape::declares(operation, 404) && !shape::declares(operation, 201);
                value["missing"] = if must_exist { "404" } else { "create" }.into();
                // With a 201 the reply says which it was.
                if status == 201 && shape::declares(operation, 200) {
                    value["status"] = 200.into();
                }
                if must_exist {
                    format!("replaces one of `{name}`")
                } else {
                    format!("replaces one of `{name}`, or makes it")
                }
            }
            Action::List => return None,
        };
        Some((action, value, reason))
    }

    /// Whether a request's schema demands what the entity demands, but for what the path and the server give.
    pub(super) fn is_whole(&self, request: &Shape<'_>) -> bool {
        if request.pointer == self.schema.pointer {
            return true;
        }
        let demanded = request.required();
        let properties = self.schema.properties();
        let given = request.properties();
        self.schema.required().iter().all(|name| {
            let read_only = properties
                .get(name)
                .is_some_and(|property| property.flag("readOnly"));
            let in_key = self
                .key
                .iter()
                .any(|key| key.at.as_deref() == Some(&format!("/{name}")));
            demanded.contains(name) || read_only || in_key || !given.contains_key(name)
        })
    }
}

/// Query parameters of an operation on a state that change nothing of it.
#[derive(Default)]
pub(super) struct Useless {
    /// What they ask for the state can't do: who gives one is told so.
    pub(super) refused: Vec<String>,
    /// They speak of pages, where there is no list.
    pub(super) idle: Vec<String>,
}

/// The query parameters that the state does not need. `None` if one must be given that it can't serve.
pub(super) fn useless(operation: &Operation, action: Action, value: &Value) -> Option<Useless> {
    let mut useless = Useless::default();
    let list = value.get("list").and_then(Value::as_object);
    let known: BTreeSet<&str> = list
        .into_iter()
        .flatten()
        .flat_map(|(role, value)| match value {
            Value::String(name) if !matches!(role.as_str(), "next" | "total" | "more") => {
                vec![name.as_str()]
            }
            Value::Object(filters) => filters.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        })
        .collect();
    for parameter in operation
        .parameters
        .iter()
        .filter(|it| it.place == Place::Query)
    {
        if known.contains(parameter.field.as_str()) {
            continue;
        }
        if action != Action::List && list::is_idle(parameter) {
            useless.idle.push(parameter.field.clone());
            continue;
        }
        if parameter.required {
            return None;
        }
        if !COSMETIC.contains(&parameter.name.to_ascii_lowercase().as_str()) {
            useless.refused.push(parameter.field.clone());
        }
    }
    Some(useless)
}

pub(super) const fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::List => "list",
        Action::Get => "get",
        Action::Replace => "replace",
        Action::Update => "update",
        Action::Delete => "delete",
    }
}
