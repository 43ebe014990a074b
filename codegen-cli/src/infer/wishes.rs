//! What the document's authors decide themselves: extensions `x-memgen-…`.

use std::{collections::HashMap, fmt::Write as _};

use serde_json::Value;

use super::shape::Shape;
use crate::{
    diagnostic::Diagnostics,
    model::{Action, Api},
    names::is_keyword,
    spec::{Node, Object, Spec, UNSUPPORTED, Value as Tree, escape},
};

/// In an operation: what it does, `handler` for a function of the user's.
pub(super) const ACTION: &str = "x-memgen-action";
/// In an operation: the state on which it works. In a schema, `false`: entities of it are no state.
pub(super) const STATE: &str = "x-memgen-state";
/// In a schema: what the state is called.
pub(super) const NAME: &str = "x-memgen-name";
/// In a schema: the JSON pointer of the key within an entity.
pub(super) const KEY: &str = "x-memgen-key";
/// In a schema: the changelog.
pub(super) const TOPIC: &str = "x-memgen-topic";
/// In a schema: how many parts the state is divided into.
pub(super) const PARTITIONS: &str = "x-memgen-partitions";
/// In a schema: how many of the key's parts decide the partition.
pub(super) const PARTITION_BY: &str = "x-memgen-partition-by";
/// In a schema: when a write counts, a level for each log.
pub(super) const ACK: &str = "x-memgen-ack";
/// In a schema: types of the user's crate that values of the state had before.
pub(super) const MIGRATE: &str = "x-memgen-migrate";

const WORDS: [&str; 9] = [
    ACTION,
    STATE,
    NAME,
    KEY,
    TOPIC,
    PARTITIONS,
    PARTITION_BY,
    ACK,
    MIGRATE,
];

/// When a write counts, at each log: the stronger level first.
const LEVELS: [[&str; 2]; 2] = [["all", "leader"], ["fsync", "os"]];

/// The most partitions that a topic may have.
const PARTITIONS_MAX: u64 = 4096;
/// The longest topic that Kafka accepts, in bytes.
const TOPIC_BYTES_MAX: usize = 249;

/// What an operation is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// A function of the user's, whatever it looks like.
    pub(super) handler: bool,
    pub(super) action: Option<Action>,
    pub(super) state: Option<String>,
}

/// The wishes of all operations by their ids. What is wrong with them is reported.
pub(super) fn of_operations(
    api: &Api,
    document: &Value,
    spec: &Spec,
    diagnostics: &mut Diagnostics,
) -> HashMap<String, Wish> {
    let mut wishes = HashMap::new();
    for operation in &api.operations {
        let Some(written) = document.pointer(&operation.pointer) else {
            continue;
        };
        let mut wish = Wish::default();
        let mut wrong = |word: &str, message: String| {
            let pointer = format!("{}/{word}", operation.pointer);
            let span = spec
                .tree
                .pointer(&pointer)
                .map_or(operation.span, |node| node.span);
            diagnostics.error(span, format!("#{pointer}"), message);
        };
        match written.get(ACTION) {
            None => {}
            Some(Value::String(word)) => match action(word) {
                _ if word == "handler" => wish.handler = true,
                Some(action) => wish.action = Some(action),
                None => wrong(
                    ACTION,
                    format!(
                        "`{word}` is no action: write handler, create, list, get, replace, update or delete"
                    ),
                ),
            },
            Some(_) => wrong(
                ACTION,
                format!(
                    "`{ACTION}` is a word: handler, create, list, get, replace, update or delete"
                ),
            ),
        }
        match written.get(STATE) {
            None => {}
            Some(Value::String(name)) if wish.action.is_some() => wish.state = Some(name.clone()),
            Some(Value::String(_)) => wrong(
                STATE,
                format!(
                    "beside `{STATE}` stands what the operation does with it: `{ACTION}: update`"
                ),
            ),
            Some(Value::Bool(false)) => wish.handler = true,
            Some(_) => wrong(
                STATE,
                format!("`{STATE}` of an operation is the name of a state"),
            ),
        }
        if wish != Wish::default() {
            wishes.insert(operation.id.clone(), wish);
        }
    }
    wishes
}

fn action(word: &str) -> Option<Action> {
    Some(match word {
        "create" => Action::Create,
        "list" => Action::List,
        "get" => Action::Get,
        "replace" => Action::Replace,
        "update" => Action::Update,
        "delete" => Action::Delete,
        _ => return None,
    })
}

/// What a schema says of the state of its entities.
#[derive(Clone, Debug, Default)]
pub(super) struct SchemaWish {
    pub(super) name: Option<String>,
    pub(super) key: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) partitions: Option<u32>,
    pub(super) partition_by: Option<usize>,
    pub(super) ack: Vec<String>,
    pub(super) migrate: Vec<String>,
}

/// The wishes of a schema; `None` if it is to be no state.
pub(super) fn of_schema(
    shape: &Shape<'_>,
    document: &Value,
    spec: &Spec,
    diagnostics: &mut Diagnostics,
) -> Option<SchemaWish> {
    let written = document.pointer(&shape.pointer)?;
    let mut wrong = |word: &str, message: String| {
        let pointer = format!("{}/{word}", shape.pointer);
        let span = spec.tree.pointer(&pointer).map(|node| node.span);
        diagnostics.error(span.unwrap_or_default(), format!("#{pointer}"), message);
    };
    let mut wish = SchemaWish::default();
    match written.get(STATE) {
        None | Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return None,
        Some(_) => wrong(
            STATE,
            format!(
                "`{STATE}` of a schema is true or false; `{NAME}` says what the state is called"
            ),
        ),
    }
    match written.get(NAME) {
        None => {}
        Some(Value::String(text)) if is_name(text) => wish.name = Some(text.clone()),
        Some(_) => wrong(
            NAME,
            format!("`{NAME}` is a name of letters, digits and `_`"),
        ),
    }
    match written.get(KEY) {
        None => {}
        Some(Value::String(at))
            if at.starts_with('/') && shape.at(at).is_some_and(|it| it.is_scalar()) =>
        {
            wish.key = Some(at.clone());
        }
        Some(_) => wrong(
            KEY,
            format!(
                "`{KEY}` is the JSON pointer of a text or a number within the entity, such as /id"
            ),
        ),
    }
    match written.get(TOPIC) {
        None => {}
        Some(Value::String(text)) if is_topic(text) => wish.topic = Some(text.clone()),
        Some(_) => wrong(
            TOPIC,
            "a topic has letters, digits, `.`, `_` and `-`".to_owned(),
        ),
    }
    let number = |word: &str| written.get(word).map(|value| value.as_u64().unwrap_or(0));
    match number(PARTITIONS) {
        None => {}
        Some(count @ 1..=PARTITIONS_MAX) => wish.partitions = u32::try_from(count).ok(),
        Some(_) => wrong(
            PARTITIONS,
            format!("`{PARTITIONS}` is a number from 1 to {PARTITIONS_MAX}"),
        ),
    }
    match number(PARTITION_BY) {
        None => {}
        Some(0) => wrong(
            PARTITION_BY,
            format!(
                "`{PARTITION_BY}` says how many parts of the key decide the partition: 1 or more"
            ),
        ),
        Some(count) => wish.partition_by = usize::try_from(count).ok(),
    }
    match written.get(ACK).map(levels) {
        None => {}
        Some(Some(levels)) => wish.ack = levels,
        Some(None) => wrong(
            ACK,
            format!(
                "`{ACK}` is a list such as [leader, os]: `all` or `leader` for Kafka, `fsync` or `os` for the embedded log"
            ),
        ),
    }
    match written.get(MIGRATE).map(paths) {
        None => {}
        Some(Some(paths)) => wish.migrate = paths,
        Some(None) => wrong(
            MIGRATE,
            format!(
                "`{MIGRATE}` is a list of different types of yours, such as [crate::migrations::PetStateV1]"
            ),
        ),
    }
    Some(wish)
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    !text.is_empty() && letters.all(|one| one.is_ascii_alphanumeric() || one == '_')
}

/// What Kafka takes as a topic's name, and does not keep for itself.
fn is_topic(text: &str) -> bool {
    let mut letters = text.chars();
    (1..=TOPIC_BYTES_MAX).contains(&text.len())
        && !text.starts_with("__")
        && !text.trim_matches('.').is_empty()
        && letters.all(|one| one.is_ascii_alphanumeric() || "._-".contains(one))
}

/// Levels of acknowledgement, at most one of each log.
fn levels(written: &Value) -> Option<Vec<String>> {
    let levels: Option<Vec<&str>> = written.as_array()?.iter().map(Value::as_str).collect();
    let levels = levels?;
    let of = |log: &[&str]| levels.iter().filter(|level| log.contains(level)).count();
    let counts = LEVELS.map(|log| of(&log));
    let is_well = counts.iter().all(|count| *count <= 1)
        && counts.iter().sum::<usize>() == levels.len()
        && !levels.is_empty();
    is_well.then(|| levels.into_iter().map(str::to_owned).collect())
}

/// Paths of types in the crate. Nothing else may get from a document into code.
pub(super) fn paths(written: &Value) -> Option<Vec<String>> {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|one| one.is_ascii_alphabetic())
            && letters.all(|one| one.is_ascii_alphanumeric() || one == '_')
            && !is_keyword(name)
    };
    let is_path = |path: &str| {
        path.strip_prefix("crate::")
            .is_some_and(|rest| rest.split("::").all(is_name))
    };
    let mut paths: Vec<String> = Vec::new();
    for path in written.as_array()? {
        let path = path.as_str().filter(|path| is_path(path))?;
        if paths.iter().any(|known| known == path) {
            return None;
        }
        paths.push(path.to_owned());
    }
    Some(paths)
}

/// Warns of names that look like ours and are not.
pub(super) fn unknown(spec: &Spec, diagnostics: &mut Diagnostics) {
    look(&spec.tree, &mut String::new(), diagnostics);
}

/// Looks at a value and what is in it. `pointer` is that of the value, and is so again afterwards.
fn look(node: &Node, pointer: &mut String, diagnostics: &mut Diagnostics) {
    let before = pointer.len();
    match &node.value {
        Tree::Object(object) => members(object, pointer, diagnostics),
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let _ = write!(pointer, "/{index}");
                look(item, pointer, diagnostics);
                pointer.truncate(before);
            }
        }
        _ => {}
    }
}

fn members(object: &Object, pointer: &mut String, diagnostics: &mut Diagnostics) {
    let before = pointer.len();
    for (name, member) in object {
        if name.starts_with("x-memgen") && name != UNSUPPORTED && !WORDS.contains(&name.as_str()) {
            let near = WORDS
                .iter()
                .max_by(|one, other| {
                    let like = |word: &str| strsim::normalized_damerau_levenshtein(word, name);
                    like(one).total_cmp(&like(other))
                })
                .unwrap_or(&ACTION);
            diagnostics.warning(
                member.name,
                format!("#{pointer}/{}", escape(name)),
                format!("`{name}` means nothing here"),
            );
            diagnostics.help(format!("did you mean `{near}`?"));
        }
        if !name.starts_with("x-")
            && !matches!(name.as_str(), "example" | "examples" | "default" | "enum")
        {
            let _ = write!(pointer, "/{}", escape(name));
            look(&member.node, pointer, diagnostics);
            pointer.truncate(before);
        }
    }
}
