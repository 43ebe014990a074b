//! `memgen inspect`: what becomes of each operation, before anything is written.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    model::{Action, Api, Decision, Operation},
    spec::Sources,
    text::shown,
};

/// The longest text in a column.
const CELL_CHARS_MAX: usize = 200;

/// What becomes of it, in one word.
#[must_use]
pub fn verdict(operation: &Operation) -> &'static str {
    match operation.decision {
        Decision::State { action, .. } => match action {
            Action::Create => "create",
            Action::List => "list",
            Action::Get => "get",
            Action::Replace => "replace",
            Action::Update => "update",
            Action::Delete => "delete",
        },
        Decision::Handler => "handler",
        Decision::Unsupported => "unsupported",
    }
}

/// The parameters that decide the partition, as the paths of the resource have them.
fn partition_key(api: &Api, operation: &Operation) -> String {
    let Decision::State { resource, .. } = operation.decision else {
        return String::new();
    };
    let resource = &api.resources[resource];
    let fields = resource.key.iter().take(resource.partition_by);
    fields
        .map(|field| field.parameter.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn resource<'a>(api: &'a Api, operation: &Operation) -> &'a str {
    match operation.decision {
        Decision::State { resource, .. } => &api.resources[resource].words,
        _ => "",
    }
}

/// All operations, and the resources that some of them work on, as text.
#[must_use]
pub fn table(api: &Api, sources: &Sources) -> String {
    let mut rows = vec![
        [
            "LINE",
            "METHOD",
            "PATH",
            "BECOMES",
            "RESOURCE",
            "PARTITION BY",
            "WHY",
        ]
        .map(str::to_owned),
    ];
    for operation in &api.operations {
        rows.push([
            line(operation, sources),
            operation.method.to_uppercase(),
            operation.path.clone(),
            verdict(operation).to_owned(),
            resource(api, operation).to_owned(),
            partition_key(api, operation),
            operation.reason.clone(),
        ]);
    }
    let mut text = columns(&rows);
    if !api.resources.is_empty() {
        let mut rows =
            vec![["RESOURCE", "ENTITY", "KEY", "PARTITIONS", "TOPIC"].map(str::to_owned)];
        for resource in &api.resources {
            let key = resource.key.iter().map(|field| match &field.at {
                Some(at) => format!("{} = {at}", field.parameter),
                None => field.parameter.clone(),
            });
            rows.push([
                resource.words.clone(),
                api.types[resource.entity.0].words.clone(),
                key.collect::<Vec<_>>().join(", "),
                resource.partitions.to_string(),
                resource.topic.clone(),
            ]);
        }
        text.push('\n');
        text.push_str(&columns(&rows));
    }
    let count = |word: &str| {
        api.operations
            .iter()
            .filter(|it| verdict(it) == word)
            .count()
    };
    let (handlers, unsupported) = (count("handler"), count("unsupported"));
    let all = api.operations.len();
    let _ = writeln!(
        text,
        "\n{all} operations: {} on state, {handlers} for handlers, {unsupported} unsupported",
        all - handlers - unsupported
    );
    text
}

fn line(operation: &Operation, sources: &Sources) -> String {
    format!(
        "{}:{}",
        sources.name(operation.span.file),
        operation.span.line
    )
}

/// Columns as wide as their widest text; the last one is as long as it is.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    // A table is for a terminal, and its cells are the document's.
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| shown(cell, CELL_CHARS_MAX)))
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (index, text) in row.iter().enumerate() {
            line.push_str(text);
            if index + 1 < N {
                let gap = widths[index] - text.chars().count() + 2;
                line.extend(std::iter::repeat_n(' ', gap));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The same for programs.
#[must_use]
pub fn json(api: &Api, sources: &Sources) -> Value {
    let operations = api.operations.iter().map(|operation| {
        json!({
            "operation": operation.id,
            "file": sources.name(operation.span.file),
            "line": operation.span.line,
            "method": operation.method.to_uppercase(),
            "path": operation.path,
            "tag": operation.tag,
            "becomes": verdict(operation),
            "resource": match resource(api, operation) { "" => Value::Null, name => name.into() },
            "partition_by": match partition_key(api, operation) { text if text.is_empty() => Value::Null, text => text.into() },
            "why": operation.reason,
        })
    });
    let resources = api.resources.iter().map(|resource| {
        let key = resource
            .key
            .iter()
            .map(|field| json!({ "parameter": field.parameter, "at": field.at }));
        json!({
            "resource": resource.words,
            "entity": api.types[resource.entity.0].words,
            "collection": resource.collection,
            "key": key.collect::<Vec<_>>(),
            "partitions": resource.partitions,
            "topic": resource.topic,
            "ack": resource.ack,
        })
    });
    json!({ "operations": operations.collect::<Vec<_>>(), "resources": resources.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_only_shows_its_texts() {
        let rows = [["a\u{1b}[2J", "b\nc"], ["d", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a\u{fffd}[2J  b\u{fffd}c\nd\n");
    }
}
