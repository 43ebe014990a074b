//! What the operations of a document are to do with its states: its decisions, put together with its schemas.

use std::{collections::BTreeMap, sync::Arc};

use axum::http::StatusCode;
use serde_json::Value;

use super::{
    super::{
        actions::StateActions,
        decision::{Action, Decisions, EXTENSION, KeySource, OperationDecision, StateDecision},
        fill::Filled,
        made::Bounds,
        page::Paging,
        projection::{Direction, Projections, is_same},
        reference::References,
        schema::Schema,
        success::{Success, declares},
    },
    Check, EntityPlan, KeyField, KeyForm, Parent, StateOperation, States,
};

impl States {
    /// The states of a document, each with its type.
    ///
    /// # Errors
    /// What is wrong with the decisions in the document, or with the types.
    pub(crate) fn new(
        document: Arc<Value>,
        actions: BTreeMap<String, Arc<dyn StateActions>>,
    ) -> Result<Self, String> {
        let decisions = match document.get(EXTENSION) {
            None => Decisions::default(),
            Some(decisions) => serde_json::from_value(decisions.clone())
                .map_err(|error| format!("`{EXTENSION}` of the document: {error}"))?,
        };
        for (name, decision) in &decisions.states {
            let Some(actions) = actions.get(name) else {
                return Err(format!(
                    "no type keeps the state `{name}`: `Contract::entity` lacks it"
                ));
            };
            let (here, there) = (actions.key_fields().len(), decision.key.len());
            if here != there {
                return Err(format!(
                    "the key of the state `{name}` has {there} parts in the document, and {here} in its type"
                ));
            }
        }
        if let Some(name) = actions
            .keys()
            .find(|name| !decisions.states.contains_key(*name))
        {
            return Err(format!("the document has no state `{name}`"));
        }
        Ok(Self {
            document,
            decisions,
            actions,
            projections: Projections::default(),
        })
    }

    /// Where the schema of the entities of the state is on which this operation works; none if it works on no state.
    ///
    /// # Errors
    /// What is wrong with the decision in the document.
    pub(crate) fn schema_of(&self, operation: &Value) -> Result<Option<&str>, String> {
        let Some(decision) = read_decision(operation)? else {
            return Ok(None);
        };
        Ok(Some(&self.decision(&decision.state)?.schema))
    }

    fn decision(&self, state: &str) -> Result<&StateDecision, String> {
        self.decisions
            .states
            .get(state)
            .ok_or_else(|| format!("the document has no state `{state}`"))
    }

    /// The operation with this method (in lower case) and path. `check` is of the schema that [`schema_of`](Self::schema_of) names.
    ///
    /// # Errors
    /// What is wrong with the decision in the document.
    pub(crate) fn operation(
        &mut self,
        method: &str,
        path: &str,
        check: Check,
    ) -> Result<StateOperation, String> {
        let document = self.document.clone();
        let wrong = |what: String| format!("{} {path}: {what}", method.to_uppercase());
        let operation = document
            .get("paths")
            .and_then(|paths| paths.get(path)?.get(method))
            .ok_or_else(|| wrong("there is no such operation".to_owned()))?;
        let decision = read_decision(operation)
            .and_then(|decision| decision.ok_or_else(|| "it is on no state".to_owned()))
            .map_err(wrong)?;
        let state = self.decision(&decision.state).map_err(wrong)?.clone();
        let entity = Schema::by_reference(&document, &state.schema)
            .ok_or_else(|| wrong(format!("there is no schema `{}`", state.schema)))?;
        let expected = match decision.action {
            Action::List => 0..=state.key.len() - 1,
            _ => state.key.len()..=state.key.len(),
        };
        if !expected.contains(&decision.key.len()) {
            return Err(wrong(format!(
                "its key has {} parts, that of the state {}",
                decision.key.len(),
                state.key.len()
            )));
        }
        let actions = self.actions[&decision.state].clone();
        let parent = match &decision.parent {
            None => None,
            Some(parent) => Some(Parent {
                state: parent.state.clone(),
                actions: self
                    .actions
                    .get(&parent.state)
                    .cloned()
                    .ok_or_else(|| wrong(format!("there is no state `{}`", parent.state)))?,
            }),
        };
        let (replaced, created) = statuses(&decision, operation).map_err(wrong)?;
        let paging = Paging::new(&document, path, operation, &decision);
        let list = (decision.action == Action::List).then_some(&paging);
        let mut success = |status| {
            Success::new(
                &document,
                operation,
                status,
                decision.reply.as_deref(),
                entity,
                list,
                &mut self.projections,
            )
        };
        let (success, created) = (success(replaced), success(created));
        let given = given(&document, operation, &decision).filter(|given| !is_same(*given, entity));
        let incoming = match given {
            Some(given) => self.projections.get(given, Direction::OtherRequest),
            None => self.projections.get(entity, Direction::Request),
        };
        Ok(StateOperation {
            id: operation
                .get("operationId")
                .and_then(Value::as_str)
                .map_or_else(|| format!("{method} {path}"), str::to_owned),
            paging,
            incoming,
            references: given
                .map(|given| References::new(given, entity))
                .unwrap_or_default(),
            writable: given
                .map(|given| writable(given, entity))
                .unwrap_or_default(),
            is_other: given.is_some(),
            entity: Arc::new(plan(
                &document,
                &decision.state,
                &state,
                entity,
                check,
                &mut self.projections,
            )),
            state: decision.state,
            key: decision.key,
            request: decision.request,
            success,
            created,
            missing: decision.missing,
            parent,
            refuses: decision.refuses,
            segments: path.matches('/').count(),
            actions,
            action: decision.action,
        })
    }
}

/// The decision in an operation, if it is on a state.
fn read_decision(operation: &Value) -> Result<Option<OperationDecision>, String> {
    match operation.get(EXTENSION) {
        Some(decision) if decision.get("state").is_some() => {
            serde_json::from_value(decision.clone())
                .map(Some)
                .map_err(|error| format!("`{EXTENSION}`: {error}"))
        }
        _ => Ok(None),
    }
}

/// The status of a success, and of one that made an entity.
fn statuses(
    decision: &OperationDecision,
    operation: &Value,
) -> Result<(StatusCode, StatusCode), String> {
    let usual = if decision.action == Action::Create {
        201
    } else {
        200
    };
    let number = decision.status.unwrap_or(usual);
    let status = StatusCode::from_u16(number)
        .ok()
        .filter(StatusCode::is_success)
        .ok_or_else(|| format!("`{EXTENSION}`: {number} is no status of a success"))?;
    if decision.action != Action::Replace {
        return Ok((status, status));
    }
    let declared = |wanted: &[StatusCode]| {
        wanted
            .iter()
            .copied()
            .find(|status| declares(operation, *status))
    };
    let replaced = [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::ACCEPTED];
    let replaced = if status == StatusCode::CREATED {
        declared(&replaced).unwrap_or(status)
    } else {
        status
    };
    Ok((replaced, declared(&[StatusCode::CREATED]).unwrap_or(status)))
}

/// The schema of the entity in a request's body, if there is one.
fn given<'d>(
    document: &'d Value,
    operation: &'d Value,
    decision: &OperationDecision,
) -> Option<Schema<'d>> {
    let body = operation.get("requestBody")?;
    let body = match body.get("$ref").and_then(Value::as_str) {
        Some(reference) => Schema::by_reference(document, reference)?.value,
        None => body,
    };
    body.get("content")?
        .as_object()?
        .iter()
        // A JSON Patch is a list of steps; what they lead to is checked as a whole.
        .filter(|(media_type, _)| !media_type.starts_with("application/json-patch"))
        .find_map(|(_, content)| content.get("schema"))
        .and_then(|schema| Schema::new(document, schema).at(decision.request.as_deref()?))
}

fn writable(given: Schema<'_>, entity: Schema<'_>) -> Vec<String> {
    let kept = entity.properties();
    let offered = given.properties().into_iter().filter(|(name, property)| {
        let is_read_only = kept.get(name).is_some_and(|kept| kept.flag("readOnly"));
        is_read_only && !property.flag("readOnly")
    });
    offered.map(|(name, _)| name.to_owned()).collect()
}

fn plan(
    document: &Value,
    name: &str,
    state: &StateDecision,
    entity: Schema<'_>,
    check: Check,
    projections: &mut Projections,
) -> EntityPlan {
    let key = state.key.iter().map(|field| {
        let schema = field.at.as_deref().and_then(|at| entity.at(at));
        KeyField {
            parameter: field.parameter.clone(),
            kind: field.kind,
            at: field.at.clone(),
            bounds: schema.map(Bounds::new).unwrap_or_default(),
            form: form_of(schema),
        }
    });
    let fill = state.fill.iter();
    EntityPlan {
        key: key.collect(),
        fill: fill
            .map(|(at, what)| Filled::new(entity, at, what.clone()))
            .collect(),
        complete: projections.get(entity, Direction::Stored),
        protect: projections.get(entity, Direction::Request),
        nullable: nullable(entity),
        check,
        item: item(document, name, state),
    }
}

fn nullable(entity: Schema<'_>) -> Vec<String> {
    let properties = entity.properties();
    let may_be_null = |name: &&str| {
        properties.get(name).is_some_and(|property| {
            let mut all = std::iter::once(*property).chain(property.alternatives());
            all.any(|one| one.types().contains(&"null"))
        })
    };
    let names = entity.required().into_iter().filter(may_be_null);
    names.map(str::to_owned).collect()
}

fn form_of(schema: Option<Schema<'_>>) -> KeyForm {
    let types = schema.map(Schema::types).unwrap_or_default();
    if types.contains(&"string") {
        KeyForm::Text
    } else if types.contains(&"integer") || types.contains(&"number") {
        KeyForm::Number
    } else {
        KeyForm::AsItIs
    }
}

/// The path of one entity: that of an operation whose whole key is in its path.
fn item(document: &Value, name: &str, state: &StateDecision) -> Option<String> {
    let paths = document.get("paths")?.as_object()?;
    let is_item = |operation: &Value| {
        let Ok(Some(decision)) = read_decision(operation) else {
            return None;
        };
        let by_path = decision.key.len() == state.key.len()
            && decision
                .key
                .iter()
                .all(|source| matches!(source, KeySource::Parameter(_)));
        (decision.state == name && by_path && decision.action != Action::List).then_some(decision)
    };
    // That of `get`, where there are several.
    let mut found = None;
    for (path, operations) in paths {
        for operation in operations
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, operation)| operation)
        {
            if let Some(decision) = is_item(operation) {
                let path = named(path, &decision, state);
                if decision.action == Action::Get {
                    return Some(path);
                }
                found.get_or_insert(path);
            }
        }
    }
    found
}

/// A path template with the names of the state's own key.
fn named(path: &str, decision: &OperationDecision, state: &StateDecision) -> String {
    let mut path = path.to_owned();
    for (source, field) in decision.key.iter().zip(&state.key) {
        if let KeySource::Parameter(name) = source {
            path = path.replacen(
                &format!("{{{name}}}"),
                &format!("{{{}}}", field.parameter),
                1,
            );
        }
    }
    path
}
