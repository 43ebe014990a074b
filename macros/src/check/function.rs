//! The rules of a function that answers a route.

use proc_macro2::Ident;
use quote::{ToTokens as _, quote};
use syn::{
    FnArg, Pat, PatType, Receiver, ReceiverKind, ReturnType, Safety, Signature, Type,
    ext::IdentExt as _,
};

use crate::{
    ast::{FreeItem, Function},
    attr::RouteAttr,
    errors::Errors,
    model::{Argument, Form, FreeHandler, Route, Source},
    near::nearest,
    symbols::Method,
    types,
};

const METHOD_FORMS: &str = "`fn name(&self, …)` answers, `fn name(&mut self, …)` changes, `fn name(entry: &mut Entry<Self>, …)` may create";
const FREE_FORM: &str = "`#[handler(post, \"/connect/{a}/{b}\")] async fn connect(tx: &mut Tx, a: u32, b: u32) -> Result<SeeOther>`";

/// A method of the state `this`, if nothing is wrong with it.
pub(crate) fn method(
    this: &Type,
    function: &Function,
    route: Option<RouteAttr>,
    errors: &Errors,
) -> Option<Route> {
    let before = errors.count();
    let signature = &function.signature;
    plain(signature, errors);
    if let Some(token) = &signature.asyncness {
        errors.push(
            token,
            "a command runs at once on the state and can't wait: remove `async`, or wait in a free `#[handler(…)] async fn`",
        );
    }
    let mut form = None;
    let mut rest: Vec<&PatType> = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => form = receiver_form(receiver, errors).or(form),
            FnArg::Typed(argument)
                if types::name(referenced(&argument.ty)).as_deref() == Some("Entry") =>
            {
                entry(this, argument, form, errors);
                form = form.or(Some(Form::Command));
            }
            FnArg::Typed(argument) => rest.push(argument),
        }
    }
    let by_value = signature.receiver().is_some();
    if form.is_none() && !by_value {
        errors.push(
            &signature.ident,
            format!("a handler here works on one entity: {METHOD_FORMS}; without an entity, write a free `#[handler(get, \"/…\")] fn`"),
        );
    }
    if let (Some(route), Some(form @ (Form::Update | Form::Command))) = (&route, form)
        && route.method == Method::Get
    {
        let what = if form == Form::Update {
            "`&mut self`"
        } else {
            "`&mut Entry<Self>`"
        };
        errors.push(&route.word, format!("`GET` changes nothing, and {what} is for changes: take `&self`, or write `#[post(…)]`"));
    }
    let arguments = arguments(&rest, route.as_ref(), Place::Method, errors);
    let reply = reply(&signature.output, errors);
    let (route, form) = (route?, form?);
    (errors.count() == before).then(|| Route {
        method: route.method,
        path: route.path,
        ident: signature.ident.clone(),
        doc: function.doc.clone(),
        cfg: function.cfg.clone(),
        form,
        arguments,
        reply,
    })
}

/// A free function, if nothing is wrong with it.
pub(crate) fn free_handler(
    item: &FreeItem,
    route: Option<RouteAttr>,
    errors: &Errors,
) -> Option<FreeHandler> {
    let function = &item.function;
    let signature = &function.signature;
    plain(signature, errors);
    for attribute in &item.routes {
        errors.push(
            attribute,
            "this function has its route in `#[handler(…)]`: remove this attribute",
        );
    }
    let mut rest: Vec<&PatType> = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => errors.push(
                receiver,
                format!("a free handler has no `self`: {FREE_FORM}; for a method of a state, write `#[handlers]` above its `impl`"),
            ),
            FnArg::Typed(argument) if types::name(referenced(&argument.ty)).as_deref() == Some("Entry") => {
                let state = types::arguments(referenced(&argument.ty))
                    .first()
                    .map_or_else(|| "Vertex".to_owned(), |state| types::text(state));
                errors.push(
                    &argument.ty,
                    format!("an entry is given to the commands of its state, in `#[handlers] impl {state}`: take `Store<{state}>` here"),
                );
            }
            FnArg::Typed(argument) => rest.push(argument),
        }
    }
    let arguments = arguments(&rest, route.as_ref(), Place::Free, errors);
    let transaction = transaction(&arguments, signature, route.as_ref(), errors);
    let reply = reply(&signature.output, errors);
    let route = route?;
    (errors.count() == 0).then(|| FreeHandler {
        visibility: item.item.vis.clone(),
        route: Route {
            method: route.method,
            path: route.path,
            ident: signature.ident.clone(),
            doc: function.doc.clone(),
            cfg: Vec::new(),
            form: if transaction {
                Form::Transaction
            } else {
                Form::Free {
                    asynchronous: signature.asyncness.is_some(),
                }
            },
            arguments,
            reply,
        },
    })
}

/// Whether a free handler is a transaction.
fn transaction(
    arguments: &[Argument],
    signature: &Signature,
    route: Option<&RouteAttr>,
    errors: &Errors,
) -> bool {
    let mut transactions = arguments
        .iter()
        .filter_map(|argument| match argument.source {
            Source::Tx { mutable } => Some((argument, mutable)),
            _ => None,
        });
    let Some((first, mutable)) = transactions.next() else {
        return false;
    };
    for (second, _) in transactions {
        errors.push(
            &second.ty,
            format!(
                "a handler is one transaction, and `{}` is it: remove this argument",
                first.ident
            ),
        );
    }
    if signature.asyncness.is_none() {
        errors.push(
            &signature.ident,
            "a transaction waits for what it reads: write `async fn`",
        );
    }
    if let Some(route) = route
        && route.method == Method::Get
        && mutable
    {
        errors.push(
            &route.word,
            format!(
                "`GET` changes nothing: take `{}: &Tx`, or write another method",
                first.ident
            ),
        );
    }
    for argument in arguments {
        if let Source::Store(state) = &argument.source {
            errors.push(
                &argument.ty,
                format!(
                    "what a `Store` does is no part of the transaction: write `{}.get::<{state}>(…)` and the like, and remove this argument",
                    first.ident,
                    state = types::text(state)
                ),
            );
        }
    }
    true
}

/// A plain `fn`, whatever it works on.
pub(super) fn plain(signature: &Signature, errors: &Errors) {
    if let Some(token) = &signature.constness {
        errors.push(token, "a handler is a plain `fn`: remove `const`");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.push(
            token,
            "a handler is called with what a client sends, so it has to be safe: remove `unsafe`",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.push(abi, "a handler is a plain `fn`: remove `extern`");
    }
    if !signature.generics.params.is_empty() {
        errors.push(&signature.generics, "a handler is one function, not a generic one: write out the types, and leave lifetimes out");
    } else if let Some(clause) = &signature.generics.where_clause {
        errors.push(
            clause,
            "a handler is one function, not a generic one: remove the `where` clause",
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.push(
            variadic,
            "a handler has a fixed number of arguments: remove `...`",
        );
    }
}

fn receiver_form(receiver: &Receiver, errors: &Errors) -> Option<Form> {
    let form = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => Some(Form::Query),
        ReceiverKind::Reference(_, _, Some(_)) => Some(Form::Update),
        ReceiverKind::Typed(_, ty) => match types::reference(ty) {
            Some(reference) if types::name(&reference.elem).as_deref() == Some("Self") => {
                Some(if reference.mutability.is_some() {
                    Form::Update
                } else {
                    Form::Query
                })
            }
            _ => None,
        },
        _ => None,
    };
    if form.is_none() {
        errors.push(
            receiver,
            format!("the state stays where it is: {METHOD_FORMS}"),
        );
    }
    form
}

/// The type behind a reference, or the type itself.
pub(super) fn referenced(ty: &Type) -> &Type {
    types::reference(ty).map_or(ty, |reference| &reference.elem)
}

fn entry(this: &Type, argument: &PatType, form: Option<Form>, errors: &Errors) {
    let name = argument.pat.to_token_stream();
    let legal = format!("`{name}: &mut Entry<Self>`");
    match form {
        Some(Form::Command) => errors.push(
            argument,
            "a command works on one entry: remove this argument",
        ),
        Some(_) => errors.push(
            argument,
            "a command takes `self` or an entry, not both: remove one of them",
        ),
        None => {}
    }
    if types::reference(&argument.ty).is_none_or(|reference| reference.mutability.is_none()) {
        errors.push(&argument.ty, format!("an entry is borrowed: {legal}"));
    }
    match types::arguments(referenced(&argument.ty)).as_slice() {
        [state] if types::same(state, this) || types::name(state).as_deref() == Some("Self") => {}
        [state] => errors.push(
            state,
            format!(
                "a command changes its own state, and this is another: write {legal}, or take a `Store<{}>` in a free `#[handler(…)] async fn`",
                types::text(state)
            ),
        ),
        _ => errors.push(&argument.ty, format!("an entry names its state: {legal}")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Method,
    Free,
}

/// The arguments that can be bound, in order.
fn arguments(
    inputs: &[&PatType],
    route: Option<&RouteAttr>,
    place: Place,
    errors: &Errors,
) -> Vec<Argument> {
    let mut arguments: Vec<Argument> = Vec::new();
    let names: Vec<String> = inputs
        .iter()
        .filter_map(|input| plain_name(input).map(|ident| ident.unraw().to_string()))
        .collect();
    let mut body: Option<&Ident> = None;
    for input in inputs {
        let Some(ident) = plain_name(input) else {
            let ty = types::text(&input.ty);
            errors.push(
                &input.pat,
                format!(
                    "an argument has a plain name: `name: {ty}`, taken apart inside the function"
                ),
            );
            continue;
        };
        if let Some(written) = types::impl_trait(&input.ty) {
            errors.push(written, "an argument has one type, by which it is read: write out a type instead of `impl Trait`");
            continue;
        }
        if let Some(written) = types::infer(&input.ty) {
            errors.push(
                written,
                "an argument is read by its type: write it out instead of `_`",
            );
            continue;
        }
        let name = ident.unraw().to_string();
        let in_path = route.is_some_and(|route| route.path.has(&name));
        let Some(source) = source(ident, &input.ty, in_path, route, place, errors) else {
            continue;
        };
        if let Source::Json(inner) = &source {
            if let Some(route) = route
                && route.method == Method::Get
            {
                let inner = types::text(inner);
                errors.push(
                    &input.ty,
                    format!(
                        "`GET` has no body: take `{ident}: Query<{inner}>`, or write another method"
                    ),
                );
            }
            match body {
                Some(first) => errors.push(
                    &input.ty,
                    format!(
                        "a request has one body, and `{first}` takes it: put both into one struct"
                    ),
                ),
                None => body = Some(ident),
            }
        }
        arguments.push(Argument {
            index: arguments.len(),
            ident: ident.clone(),
            ty: (*input.ty).clone(),
            source,
        });
    }
    if let (Some(route), Place::Free) = (route, place) {
        for placeholder in route
            .path
            .placeholders
            .iter()
            .filter(|name| !names.contains(name))
        {
            let unused: Vec<&str> = names
                .iter()
                .filter(|name| !route.path.has(name))
                .map(String::as_str)
                .collect();
            let hint = match nearest(placeholder, &unused) {
                Some(near) => format!("is `{near}` meant?"),
                None => format!("add an argument, like `{placeholder}: u32`"),
            };
            errors.push(
                &route.path.literal,
                format!("`{{{placeholder}}}` has no argument of its name: {hint}"),
            );
        }
    }
    arguments
}

fn plain_name(input: &PatType) -> Option<&Ident> {
    match input.pat.as_ref() {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Some(&pat.ident),
        _ => None,
    }
}

/// Where an argument comes from; `None` if that is reported.
fn source(
    ident: &Ident,
    ty: &Type,
    in_path: bool,
    route: Option<&RouteAttr>,
    place: Place,
    errors: &Errors,
) -> Option<Source> {
    if types::name(referenced(ty)).as_deref() == Some("Tx") {
        return tx(ident, ty, place, errors);
    }
    if let Some(reference) = types::reference(ty) {
        let owned = match types::name(&reference.elem).as_deref() {
            Some("str") => "String".to_owned(),
            _ => types::text(&reference.elem),
        };
        errors.push(
            ty,
            format!("an argument is a value of its own, not a reference: `{ident}: {owned}`"),
        );
        return None;
    }
    let name = types::name(ty).unwrap_or_default();
    let wrapper = match name.as_str() {
        "Json" | "Query" | "Store" | "External" => Some(name.as_str()),
        _ => None,
    };
    if let Some(wrapper) = wrapper {
        if in_path {
            errors.push(ty, format!("`{{{ident}}}` is a placeholder of the path, and this is not a part of it: write `{ident}: u32` or rename one of them"));
            return None;
        }
        let Some(inner) = types::inside(ty, wrapper) else {
            errors.push(
                ty,
                format!("`{wrapper}` needs one type: `{ident}: {wrapper}<T>`"),
            );
            return None;
        };
        let inner = inner.clone();
        return Some(match wrapper {
            "Json" => Source::Json(inner),
            "Query" => Source::Query(inner),
            "External" => Source::External(inner),
            _ => Source::Store(inner),
        });
    }
    let legal = match name.as_str() {
        "Path" => Some(match types::arguments(ty).as_slice() {
            [inner] if !matches!(inner, Type::Tuple(_)) => {
                format!(
                    "a part of the path is an argument of its name: `{ident}: {}`",
                    types::text(inner)
                )
            }
            _ => "parts of the path are arguments of their names: `id: u32`".to_owned(),
        }),
        "Form" | "Multipart" | "Bytes" | "Request" | "Body" => {
            Some(format!("a body is JSON: `{ident}: Json<T>`"))
        }
        _ => None,
    };
    if let Some(legal) = legal
        && !in_path
    {
        errors.push(ty, legal);
        return None;
    }
    if in_path {
        return Some(Source::Path);
    }
    if !types::is_scalar(ty) {
        return Some(Source::Part);
    }
    // In an `impl` block the path of the state is out of sight: the compiler checks the name there.
    if place == Place::Method {
        return Some(Source::StatePath);
    }
    let route = route?;
    let near: Vec<&str> = route.path.placeholders.iter().map(String::as_str).collect();
    let hint = match nearest(&ident.unraw().to_string(), &near) {
        Some(near) => format!("is `{{{near}}}` meant?"),
        None => {
            format!("add `/{{{ident}}}` to the path, or take it from a `Query<T>` or a `Json<T>`")
        }
    };
    errors.push(
        ident,
        format!(
            "`{ident}` is no placeholder of `{}`: {hint}",
            route.path.text()
        ),
    );
    None
}

/// The transaction of a handler; `None` if that is reported.
fn tx(ident: &Ident, ty: &Type, place: Place, errors: &Errors) -> Option<Source> {
    if place == Place::Method {
        errors.push(
            ty,
            "a method works on one entity alone: write a transaction as a free `#[handler(…)] async fn`",
        );
        return None;
    }
    let Some(reference) = types::reference(ty) else {
        errors.push(
            ty,
            format!("a transaction is borrowed: `{ident}: &mut Tx`, or `{ident}: &Tx` if it changes nothing"),
        );
        return None;
    };
    Some(Source::Tx {
        mutable: reference.mutability.is_some(),
    })
}

/// The type of the reply; `None` for `()`, and if it is reported.
pub(super) fn reply(output: &ReturnType, errors: &Errors) -> Option<Type> {
    let ReturnType::Type(_, ty) = output else {
        return None;
    };
    if types::is_unit(ty) {
        return None;
    }
    if let Some(written) = types::impl_trait(ty) {
        errors.push(
            written,
            "a reply has one type, which also describes it: write it out, like `Json<T>`, `Result<Created<T>, Conflict>` or `Response`",
        );
        return None;
    }
    nameless(ty, errors);
    Some((**ty).clone())
}

/// `Result` and `Option` without their types say nothing about the reply.
fn nameless(ty: &Type, errors: &Errors) {
    let Some(segment) = types::last_segment(ty) else {
        return;
    };
    let (ident, given) = (&segment.ident, types::arguments(ty));
    let known = ident == "Result" || ident == "Option";
    if known && given.is_empty() {
        let legal = if ident == "Result" {
            "Result<T, Conflict>` or `Result<T>"
        } else {
            "Option<T>"
        };
        errors.push(
            quote!(#ty),
            format!("the type of the reply is missing: write `{legal}`"),
        );
    } else if known {
        nameless(given[0], errors);
    }
}
