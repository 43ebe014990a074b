//! `states.rs`: what is kept in memory and in the log.

use super::{
    doc,
    named::Named,
    text::{Text, literal},
};
use crate::names::{Scope, ident, value_name};

/// The most lines of a resource's description.
const LINES: usize = 6;

pub(super) fn file(named: &Named<'_>) -> String {
    let mut text = super::file(
        "What is kept: each state has a changelog, and is served by the document.",
        &["use super::types;", "use memgen::contract::prelude::*;"],
    );
    for index in 0..named.api.resources.len() {
        state(named, index, &mut text);
    }
    text.finish()
}

fn state(named: &Named<'_>, index: usize, text: &mut Text) {
    let resource = &named.api.resources[index];
    let mut about = doc::lines(&resource.doc, LINES);
    let path = doc::lines(&format!("`{}`", resource.collection.replace('`', "'")), 1).join(" ");
    doc::paragraph(&mut about, format!("Kept by its key, under {path}."));
    text.gap();
    text.doc(&about);
    let mut arguments = vec![
        format!("topic = {}", literal(&resource.topic)),
        format!("partitions = {}", resource.partitions),
    ];
    if !resource.ack.is_empty() {
        arguments.push(format!("ack({})", resource.ack.join(", ")));
    }
    text.attribute("stateful_api", &arguments);
    for older in &resource.migrate {
        text.line(&format!("#[migrate(from = {older})]"));
    }
    text.line("#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]");
    text.open(&format!("pub struct {} {{", named.states[index]));
    let mut scope = Scope::default();
    let keys = Named::key_fields(resource, &mut scope);
    for (place, (name, field)) in keys.iter().zip(&resource.key).enumerate() {
        // If all of it decides, that goes without saying.
        if resource.partition_by < resource.key.len() && place < resource.partition_by {
            text.line("#[partition_by]");
        }
        text.line("#[key]");
        text.field(&format!("pub {name}"), &named.ty(&field.ty));
    }
    let entity = ident(&scope.claim(value_name(&resource.words)));
    text.line("#[entity]");
    text.field(
        &format!("pub {entity}"),
        &format!("types::{}", named.of(resource.entity)),
    );
    text.close("}");
}
