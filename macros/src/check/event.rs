//! The rules of a function that takes events in.

use quote::ToTokens as _;
use syn::{FnArg, PatType, Type};

use super::{
    function::{plain, referenced, reply},
    state::topic_is_legal,
};
use crate::{
    ast::FreeItem,
    attr::EventAttr,
    errors::Errors,
    model::{EventHandler, EventTarget},
    symbols::Format,
    types,
};

const FORMS: &str = "`fn sighted(entry: &mut Entry<Place>, sighting: Sighting)`, or `async fn paid(tx: &mut Tx, payment: Payment) -> Result<()>`";

/// The function, if nothing is wrong with it.
pub(crate) fn event_handler(
    item: &FreeItem,
    attr: EventAttr,
    errors: &Errors,
) -> Option<EventHandler> {
    let signature = &item.function.signature;
    plain(signature, errors);
    for attribute in &item.routes {
        errors.push(
            attribute,
            "this function is called by events, and by no route: remove this attribute",
        );
    }
    for topic in attr.topic.iter().chain(&attr.dead_letters) {
        if let Err(mistake) = topic_is_legal(&topic.value()) {
            errors.push(topic, mistake);
        }
    }
    if let (Some(topic), Some(letters)) = (&attr.topic, &attr.dead_letters)
        && topic.value() == letters.value()
    {
        errors.push(
            letters,
            "dead letters that are events again come back for ever: write another topic",
        );
    }
    let mut arguments: Vec<&PatType> = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => errors.push(
                receiver,
                format!("a function of events has no `self`: {FORMS}"),
            ),
            FnArg::Typed(argument) => arguments.push(argument),
        }
    }
    let mut arguments = arguments.into_iter();
    let (first, second) = (arguments.next(), arguments.next());
    let externals = arguments
        .filter_map(|more| external(more, errors))
        .collect();
    let target = if let Some(first) = first {
        target(first, item, errors)
    } else {
        errors.push(
            &signature.ident,
            format!("it has nothing to change, and no event: {FORMS}"),
        );
        None
    };
    let event = match (second, first) {
        (Some(second), _) => event(second, errors),
        (None, Some(_)) => {
            errors.push(
                &signature.ident,
                format!("the event is missing, the second argument: {FORMS}"),
            );
            None
        }
        (None, None) => None,
    };
    if let Some((word, Format::Bytes)) = &attr.format
        && let Some(key) = &attr.key
    {
        errors.push(
            &key.literal,
            format!(
                "an event that is bytes has no fields, and its key is that of the record: remove `key` or `{word}`"
            ),
        );
    }
    let reply = reply(&signature.output, errors);
    let (topic, target, event) = (attr.topic?, target?, event?);
    (errors.count() == 0).then(|| EventHandler {
        visibility: item.item.vis.clone(),
        ident: signature.ident.clone(),
        topic,
        dead_letters: attr.dead_letters,
        key: attr.key.map(|key| key.fields),
        format: attr.format.map_or(Format::Json, |(_, format)| format),
        target,
        event,
        externals,
        reply,
    })
}

/// What is behind the event: something to look things up in.
fn external(argument: &PatType, errors: &Errors) -> Option<Type> {
    let ty = &argument.ty;
    let external = types::inside(ty, "External").cloned();
    if external.is_none() {
        errors.push(
            argument,
            format!(
                "what changes and the event are all arguments, but for `rates: External<Rate>` of external state: {FORMS}"
            ),
        );
    }
    external
}

/// What the function changes.
fn target(argument: &PatType, item: &FreeItem, errors: &Errors) -> Option<EventTarget> {
    let signature = &item.function.signature;
    let name = argument.pat.to_token_stream();
    let ty = &argument.ty;
    let mutable = types::reference(ty).is_some_and(|reference| reference.mutability.is_some());
    match types::name(referenced(ty)).as_deref() {
        Some("Tx") => {
            if !mutable {
                errors.push(ty, format!("an event changes something: `{name}: &mut Tx`"));
            }
            if signature.asyncness.is_none() {
                errors.push(
                    &signature.ident,
                    "a transaction waits for what it reads: write `async fn`",
                );
            }
            Some(EventTarget::Transaction)
        }
        Some("Entry") => {
            if let Some(token) = &signature.asyncness {
                errors.push(
                    token,
                    "it runs at once on the entity and can't wait: remove `async`, or take `tx: &mut Tx`",
                );
            }
            let inner = types::arguments(referenced(ty));
            let [state] = inner.as_slice() else {
                errors.push(
                    ty,
                    format!("an entry names its state: `{name}: &mut Entry<Place>`"),
                );
                return None;
            };
            if !mutable {
                let state = types::text(state);
                errors.push(
                    ty,
                    format!("an entry is borrowed: `{name}: &mut Entry<{state}>`"),
                );
            }
            Some(EventTarget::Entry(Box::new((*state).clone())))
        }
        _ => {
            errors.push(
                ty,
                format!("the first argument is what the event changes: {FORMS}"),
            );
            None
        }
    }
}

/// The event itself.
fn event(argument: &PatType, errors: &Errors) -> Option<Type> {
    let ty = &argument.ty;
    let name = argument.pat.to_token_stream();
    if let Some(reference) = types::reference(ty) {
        let owned = types::text(&reference.elem);
        errors.push(
            ty,
            format!("an event is given away, not lent: `{name}: {owned}`"),
        );
        return None;
    }
    if let Some(written) = types::impl_trait(ty).or_else(|| types::infer(ty)) {
        errors.push(written, "an event is read by its type: write it out");
        return None;
    }
    if let Some(inner) = types::inside(ty, "Json") {
        let inner = types::text(inner);
        errors.push(
            ty,
            format!("the format stands in the attribute: `{name}: {inner}`"),
        );
        return None;
    }
    Some((**ty).clone())
}
