//! Many files -> one tree: every reference of the result is `#/components/<section>/<name>`.
//!
//! The tree is walked by the [grammar](super::grammar). What stands elsewhere (in another file, below a path, in `$defs`) is hoisted into
//! `components` under a name of its own. What is broken is reported and left out; the rest goes on.

mod circles;
mod reference;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    rc::Rc,
};

use self::reference::{Found, pure_reference};
use super::{
    grammar::{Kind, Shape},
    limits::{Budget, HOPS_MAX},
    node::{Member, Node, Text, Value, escape, unescape},
    object::Object,
    parameter,
    sources::Sources,
};
use crate::diagnostic::{Diagnostics, Span};

/// The extension that marks what can't be generated, with the reason.
pub const UNSUPPORTED: &str = "x-memgen-unsupported";

/// Where something stands.
type Target = (u32, String);

/// A tree in the making.
pub(super) struct Bundler<'d> {
    sources: Sources,
    diagnostics: &'d mut Diagnostics,
    /// Of each file, by its number: its tree, if it could be read.
    files: Vec<Option<Rc<Node>>>,
    by_path: HashMap<PathBuf, u32>,
    /// Of each file: the folder that its references start from. None if it may not refer to files.
    folders: Vec<Option<PathBuf>>,
    /// The folder of the document: files are named from there on.
    root_folder: Option<PathBuf>,
    /// `$ref` may have neighbours that count.
    siblings: bool,
    names: HashMap<(Target, Kind), String>,
    taken: HashSet<(Kind, String)>,
    /// Of names that were wanted more than once: the number that the last one got.
    numbers: HashMap<(Kind, String), usize>,
    /// Of each file that was looked at for them: where what has an anchor stands.
    anchors: HashMap<u32, HashMap<Text, String>>,
    budget: Budget,
    waiting: VecDeque<(Target, Kind, String)>,
    unknown: BTreeMap<(Kind, String), usize>,
    /// Path items that are being copied in now.
    inside: Vec<Target>,
    /// Where the outermost of them is copied to.
    copied_to: String,
    /// Why something of the operation at hand was left out.
    broken: Option<String>,
}

impl<'d> Bundler<'d> {
    pub(super) fn new(
        sources: Sources,
        root_folder: Option<PathBuf>,
        budget: Budget,
        diagnostics: &'d mut Diagnostics,
    ) -> Self {
        Self {
            sources,
            diagnostics,
            files: Vec::new(),
            by_path: HashMap::new(),
            folders: Vec::new(),
            root_folder,
            siblings: false,
            names: HashMap::new(),
            taken: HashSet::new(),
            numbers: HashMap::new(),
            anchors: HashMap::new(),
            budget,
            waiting: VecDeque::new(),
            unknown: BTreeMap::new(),
            inside: Vec::new(),
            copied_to: String::new(),
            broken: None,
        }
    }

    /// Takes in the document itself, which is file 0.
    pub(super) fn root(&mut self, path: Option<&Path>, node: Node) {
        let path = path.and_then(|path| path.canonicalize().ok());
        if let Some(path) = &path {
            self.by_path.insert(path.clone(), 0);
        }
        self.folders.push(self.root_folder.clone());
        self.files.push(Some(Rc::new(node)));
    }

    /// The bundled tree of the document. `siblings`: names beside a `$ref` count, as in OpenAPI 3.1. `None` if it would be too large.
    pub(super) fn bundle(&mut self, siblings: bool) -> Option<Node> {
        self.siblings = siblings;
        // What is copied is counted from here on; what was read has been.
        self.budget = Budget::default();
        let root = self.files.first().cloned().flatten()?;
        self.reserve(&root);
        let mut bundled = self
            .one(0, "", &root, Kind::Document)
            .unwrap_or_else(|| empty(root.span));
        if bundled.member("components").is_none() {
            bundled.set("components", empty(root.span));
        }
        while let Some(((file, pointer), kind, name)) = self.waiting.pop_front() {
            let (Some(section), Some(tree)) = (kind.section(), self.tree(file)) else {
                continue;
            };
            let Some(target) = tree.pointer(&pointer) else {
                continue;
            };
            let node = self.one(file, &pointer, target, kind);
            let node = node.unwrap_or_else(|| empty(target.span));
            let Some(Value::Object(components)) = bundled
                .as_object_mut()
                .and_then(|it| it.get_mut("components"))
                .map(|it| &mut it.node.value)
            else {
                break;
            };
            let section = components.get_or_insert_with(section, || Member {
                name: target.span,
                node: empty(target.span),
            });
            section.node.set(&name, node);
        }
        if let Err(message) = self.budget.take(0) {
            self.diagnostics.error(root.span, "#", message);
            return None;
        }
        self.break_cycles(&mut bundled);
        for ((target, kind), name) in &self.names {
            let Some(section) = kind.section() else {
                continue;
            };
            let pointer = format!("/components/{section}/{}", escape(name));
            if target.0 != 0 || target.1 != pointer {
                self.sources.take_in(pointer, target.clone());
            }
        }
        for ((kind, name), count) in std::mem::take(&mut self.unknown) {
            if count > 1 {
                self.diagnostics.push(crate::diagnostic::Diagnostic {
                    severity: crate::diagnostic::Severity::Warning,
                    span: None,
                    pointer: String::new(),
                    message: format!(
                        "`{name}` in {} other {}s is unknown too",
                        count - 1,
                        kind.noun()
                    ),
                    help: None,
                });
            }
        }
        Some(bundled)
    }

    /// The files. What was read of them is gone.
    pub(super) fn into_sources(self) -> Sources {
        self.sources
    }

    /// The document's own components keep their names; one that is nothing but a reference to something else gives it its name.
    fn reserve(&mut self, root: &Node) {
        for (section, shape) in Kind::Components.names() {
            let Shape::Map(kind) = shape else { continue };
            let Some(members) = root
                .pointer(&format!("/components/{section}"))
                .and_then(Node::as_object)
            else {
                continue;
            };
            for name in members.keys() {
                let name = name.to_string();
                let pointer = format!("/components/{section}/{}", escape(&name));
                self.taken.insert((*kind, name.clone()));
                self.names.insert(((0, pointer), *kind), name);
            }
            for (name, member) in members {
                if let Some(reference) = pure_reference(&member.node)
                    && let Found::At(target) = self.resolve(0, reference)
                {
                    self.names
                        .entry((target, *kind))
                        .or_insert_with(|| name.to_string());
                }
            }
        }
    }

    fn tree(&self, file: u32) -> Option<Rc<Node>> {
        self.files.get(file as usize).cloned().flatten()
    }

    /// An object of this kind, or a reference to one.
    fn one(&mut self, file: u32, pointer: &str, node: &Node, kind: Kind) -> Option<Node> {
        if self.budget.is_spent() {
            return None;
        }
        let Some(reference) = node.member("$ref") else {
            return self.object(file, pointer, node, kind);
        };
        if kind.section().is_none() && kind != Kind::PathItem {
            return self.object(file, pointer, node, kind);
        }
        let span = reference.span;
        let Some(text) = reference.as_str() else {
            self.leave_out(
                span,
                pointer,
                format!("`$ref` is {}, not a text", reference.what()),
            );
            return None;
        };
        let target = match self.resolve(file, text) {
            Found::At(target) => target,
            Found::Nothing(why) => {
                let what = format!("the reference to a {} `{text}` {why}", kind.noun());
                self.leave_out(span, pointer, what);
                return (kind == Kind::Schema).then(|| empty(node.span));
            }
        };
        if kind == Kind::PathItem {
            return self.copied(&target, node, pointer);
        }
        let section = kind.section()?;
        let name = self.name(target.clone(), kind);
        // The component that gave the target its name holds it, instead of a reference to itself.
        let own = format!("/components/{section}/{}", escape(&name));
        if file == 0 && pointer == own && target != (0, own) {
            let tree = self.tree(target.0);
            if let Some(found) = tree.as_ref().and_then(|tree| tree.pointer(&target.1)) {
                return self.one(target.0, &target.1, found, kind);
            }
        }
        let mut result = Node::new(Value::Object(Object::new()), node.span);
        let path = format!("#/components/{section}/{}", escape(&name));
        result.set("$ref", Node::text(path, span));
        if self.siblings && kind == Kind::Schema {
            let mut others = node.clone();
            others.take("$ref");
            if let Some(Value::Object(others)) = self
                .object(file, pointer, &others, kind)
                .map(|others| others.value)
                && let Some(object) = result.as_object_mut()
            {
                object.extend(others);
            }
        }
        Some(result)
    }

    /// A path item that stands elsewhere is copied to where it is used, with what stands beside the reference.
    fn copied(&mut self, target: &Target, place: &Node, pointer: &str) -> Option<Node> {
        if self.inside.contains(target) {
            self.leave_out(
                place.span,
                pointer,
                "this path item contains itself".to_owned(),
            );
            return None;
        }
        if self.inside.len() >= HOPS_MAX {
            let what = format!("this path item is more than {HOPS_MAX} references away");
            self.leave_out(place.span, pointer, what);
            return None;
        }
        let tree = self.tree(target.0)?;
        let found = tree.pointer(&target.1)?;
        let outermost = match self.inside.as_slice() {
            [] => pointer.to_owned(),
            [_, ..] => std::mem::take(&mut self.copied_to),
        };
        self.sources.take_in(outermost.clone(), target.clone());
        self.copied_to = outermost;
        self.inside.push(target.clone());
        let copy = self.one(target.0, &target.1, found, Kind::PathItem);
        self.inside.pop();
        copy
    }

    /// The name of a component for what stands at a place. It is made part of the tree later if it is not yet.
    fn name(&mut self, target: Target, kind: Kind) -> String {
        if let Some(name) = self.names.get(&(target.clone(), kind)) {
            return name.clone();
        }
        let last = target.1.rsplit('/').next().unwrap_or_default();
        let stem = || {
            let name = self.sources.name(target.0);
            let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
            file.split('.').next().unwrap_or(file).to_owned()
        };
        let wanted = if last.is_empty() {
            stem()
        } else {
            unescape(last).into_owned()
        };
        let wanted: String = wanted
            .chars()
            .map(|one| {
                if one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-') {
                    one
                } else {
                    '_'
                }
            })
            .collect();
        let mut name = wanted.clone();
        let mut number = *self.numbers.get(&(kind, wanted.clone())).unwrap_or(&1);
        while self.taken.contains(&(kind, name.clone())) {
            number += 1;
            name = format!("{wanted}{number}");
        }
        if number > 1 {
            self.numbers.insert((kind, wanted), number);
        }
        self.taken.insert((kind, name.clone()));
        self.names.insert((target.clone(), kind), name.clone());
        self.waiting.push_back((target, kind, name.clone()));
        name
    }

    /// An object, member by member.
    fn object(&mut self, file: u32, pointer: &str, node: &Node, kind: Kind) -> Option<Node> {
        let Value::Object(object) = &node.value else {
            if kind == Kind::Schema && matches!(node.value, Value::Bool(_)) {
                return Some(node.clone());
            }
            let what = format!(
                "{} {} is {}, not an object",
                article(kind),
                kind.noun(),
                node.what()
            );
            self.leave_out(node.span, pointer, what);
            return None;
        };
        let repaired;
        let object = if matches!(kind, Kind::Parameter | Kind::Header) {
            let (whole, notes) = parameter::complete(node, kind);
            for note in notes {
                self.diagnostics
                    .warning(note.span, format!("#{pointer}"), note.message);
                self.diagnostics.help(note.help);
            }
            repaired = whole;
            repaired.as_object().unwrap_or(object)
        } else {
            object
        };
        // What an operation lost is none of the next one's. What a path item lost, each of its operations did.
        let own = matches!(kind, Kind::Operation | Kind::PathItem);
        let outer = own.then(|| self.broken.take());
        let mut result = Object::with_capacity(object.len());
        for (name, member) in object {
            // How many there are is said in the end.
            if self.budget.take(1).is_err() {
                break;
            }
            let at = format!("{pointer}/{}", escape(name));
            let node = match kind.shape(name) {
                _ if name.starts_with("x-") => self.data(&member.node),
                Some(shape) if shape.is_needed() => self.shaped(file, &at, &member.node, shape),
                Some(shape) => {
                    let before = self.broken.take();
                    let node = self.shaped(file, &at, &member.node, shape);
                    self.broken = before;
                    node
                }
                None => {
                    self.unknown(member.name, &at, kind, name);
                    None
                }
            };
            if let Some(node) = node {
                let name_span = member.name;
                result.insert(
                    name.clone(),
                    Member {
                        name: name_span,
                        node,
                    },
                );
            }
        }
        let mut result = Node::new(Value::Object(result), node.span);
        if let Some(outer) = outer
            && let Some(why) = std::mem::replace(&mut self.broken, outer)
        {
            let why = || Node::text(why.clone(), node.span);
            if kind == Kind::Operation {
                result.set(UNSUPPORTED, why());
            }
            let members = result.as_object_mut().into_iter().flatten();
            for (name, member) in members {
                if kind.shape(name) == Some(Shape::One(Kind::Operation)) {
                    member.node.set(UNSUPPORTED, why());
                }
            }
        }
        Some(result)
    }

    /// What is not looked into.
    fn data(&mut self, node: &Node) -> Option<Node> {
        self.budget.take(node.size()).ok()?;
        Some(node.clone())
    }

    fn shaped(&mut self, file: u32, pointer: &str, node: &Node, shape: Shape) -> Option<Node> {
        match shape {
            Shape::Data => self.data(node),
            Shape::Text => match &node.value {
                Value::String(_) => Some(node.clone()),
                Value::Number(number) => Some(Node::text(number.to_string(), node.span)),
                Value::Bool(value) => Some(Node::text(value.to_string(), node.span)),
                Value::Null => None,
                Value::List(_) | Value::Object(_) => {
                    self.leave_out(
                        node.span,
                        pointer,
                        format!("this is {}, not a text", node.what()),
                    );
                    None
                }
            },
            Shape::Flag => self.flag(pointer, node),
            Shape::One(kind) => self.one(file, pointer, node, kind),
            Shape::SchemaOrBool => self.one(file, pointer, node, Kind::Schema),
            Shape::SchemaOrList => match &node.value {
                Value::List(_) => self.shaped(file, pointer, node, Shape::List(Kind::Schema)),
                _ => self.one(file, pointer, node, Kind::Schema),
            },
            Shape::List(kind) => {
                let Some(items) = node.as_list() else {
                    if matches!(node.value, Value::Null) {
                        return None;
                    }
                    let what = format!("this is {}, not a list of {}s", node.what(), kind.noun());
                    self.leave_out(node.span, pointer, what);
                    return None;
                };
                let items = items.iter().enumerate().filter_map(|(index, item)| {
                    self.one(file, &format!("{pointer}/{index}"), item, kind)
                });
                let items: Vec<Node> = items.collect();
                Some(Node::new(Value::List(items), node.span))
            }
            Shape::Map(kind) => {
                let Some(object) = node.as_object() else {
                    if !matches!(node.value, Value::Null) {
                        let what =
                            format!("this is {}, not an object of {}s", node.what(), kind.noun());
                        self.leave_out(node.span, pointer, what);
                    }
                    return None;
                };
                let mut result = Object::with_capacity(object.len());
                for (name, member) in object {
                    let at = format!("{pointer}/{}", escape(name));
                    let extension = kind.is_extension(name);
                    if kind == Kind::PathItem
                        && !extension
                        && pointer == "/paths"
                        && !name.starts_with('/')
                    {
                        self.leave_out(
                            member.name,
                            &at,
                            format!("the path `{name}` does not begin with `/`"),
                        );
                        continue;
                    }
                    let node = if extension {
                        self.data(&member.node)
                    } else {
                        self.one(file, &at, &member.node, kind)
                    };
                    if let Some(node) = node {
                        result.insert(
                            name.clone(),
                            Member {
                                name: member.name,
                                node,
                            },
                        );
                    }
                }
                Some(Node::new(Value::Object(result), node.span))
            }
        }
    }

    /// `true` or `false`, also in quotes.
    fn flag(&mut self, pointer: &str, node: &Node) -> Option<Node> {
        let meant = match &node.value {
            Value::Bool(_) => return Some(node.clone()),
            Value::Null => return None,
            Value::String(text) => match &**text {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            _ => None,
        };
        let Some(meant) = meant else {
            let what = format!("this is {}, not `true` or `false`", node.what());
            self.leave_out(node.span, pointer, what);
            return None;
        };
        self.diagnostics.warning(
            node.span,
            format!("#{pointer}"),
            format!("this is the text `{meant}`; it is read as the value"),
        );
        Some(Node::new(Value::Bool(meant), node.span))
    }

    /// Something is broken, and not part of the result.
    fn leave_out(&mut self, span: Span, pointer: &str, what: String) {
        self.diagnostics.warning(
            span,
            format!("#{pointer}"),
            format!("{what}; it is left out"),
        );
        self.broken.get_or_insert(what);
    }

    /// A name that the grammar does not know: said once for each kind of object, then counted.
    fn unknown(&mut self, span: Span, pointer: &str, kind: Kind, name: &str) {
        let count = self.unknown.entry((kind, name.to_owned())).or_default();
        *count += 1;
        if *count == 1 {
            let what = format!(
                "{} {} has no `{name}`; it is left out",
                article(kind),
                kind.noun()
            );
            self.diagnostics.warning(span, format!("#{pointer}"), what);
            let near = kind
                .names()
                .iter()
                .map(|(known, _)| (strsim::normalized_damerau_levenshtein(name, known), *known))
                .filter(|(like, _)| *like > 0.6)
                .max_by(|one, other| one.0.total_cmp(&other.0));
            if let Some((_, near)) = near {
                self.diagnostics.help(format!(
                    "did you mean `{near}`? Names of your own begin with `x-`"
                ));
            }
        }
    }
}

fn empty(span: Span) -> Node {
    Node::new(Value::Object(Object::new()), span)
}

const fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Info | Kind::Operation | Kind::Encoding | Kind::Example => "an",
        _ => "a",
    }
}
