//! Whether a type reads all that another one could have written.
//!
//! The layout of the old type says which values there can be, and the new type itself is asked whether it reads them: one thing at a time, in
//! a value that it reads otherwise. So what is reported was tried, and a field that has another name by `#[serde(alias = …)]`, or a number
//! that is read from a text by `#[serde(deserialize_with = …)]`, is no false alarm. What is laid out as before is not tried: it is read.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{
    finding::{Change, Finding, words},
    node::{Fields, Layout, Node, UNHEARD_OF, key_text},
    oracle::{Point, Reads, Step, Unread},
    plain::Plain,
};

/// Fields that went, times fields that came, beyond which nobody looks for new names.
const PAIRS_MAX: usize = 400;
/// Values of an enum that are reported each on its own.
const VALUES_MAX: usize = 10;

/// What can't be read of values that are laid out as `old`, by the type `reads`, which is laid out as `new`. Places are named from `name` on.
pub(crate) fn compare(name: &str, old: &Layout, new: &Layout, reads: &Reads<'_>) -> Vec<Finding> {
    let by_layout = |value: &Value| {
        if new.reads(&new.value, value) {
            Ok(value.clone())
        } else {
            Err(Unread::default())
        }
    };
    let sample = new.sample(&new.value);
    let can_be_asked = sample.as_ref().is_some_and(|sample| reads(sample).is_ok());
    let mut comparison = Comparison {
        old,
        new,
        // A type of which no value is known that it reads can only be judged by what is known of it.
        reads: if can_be_asked { reads } else { &by_layout },
        by_layout: &by_layout,
        types: HashSet::new(),
        shapes: HashSet::new(),
        findings: Vec::new(),
        can_be_asked,
    };
    let point = Point::root().based(sample.unwrap_or_default());
    comparison.place(&old.value, &new.value, &point, name);
    if comparison
        .findings
        .iter()
        .all(|finding| !finding.is_error())
    {
        comparison.whole(name);
    }
    comparison.findings
}

struct Comparison<'c> {
    old: &'c Layout,
    new: &'c Layout,
    reads: &'c Reads<'c>,
    /// What the layout says of it.
    by_layout: &'c Reads<'c>,
    /// Pairs of types that were compared, or are being compared.
    types: HashSet<(*const Node, *const Node)>,
    /// The same of alternatives: a type may hold itself as one of several.
    shapes: HashSet<(*const Node, *const Node)>,
    findings: Vec<Finding>,
    can_be_asked: bool,
}

impl<'c> Comparison<'c> {
    fn place(&mut self, old: &'c Node, new: &'c Node, point: &Point, shown: &str) {
        let types = (self.old.resolve(old), self.new.resolve(new));
        // A type that stands at several places is looked at once.
        if matches!(old, Node::Plain(Plain::Type(_))) && !self.types.insert((types.0, types.1)) {
            return;
        }
        let reads = self.reads;
        if reads(&point.whole()).is_err() {
            // No value is known here that the type reads, so it can't be asked about others.
            self.reads = self.by_layout;
        }
        self.compare_place(old, new, point, shown);
        self.reads = reads;
    }

    fn compare_place(&mut self, old: &'c Node, new: &'c Node, point: &Point, shown: &str) {
        let all = self.new.alternatives(new);
        if all.contains(&&Node::Plain(Plain::Any)) {
            return;
        }
        let before = self.old.alternatives(old);
        let tag = Tag::of(&before).or_else(|| Tag::of(&all));
        for one in before {
            if all.iter().any(|other| is_plain(one) && one == *other) {
                continue;
            }
            if is_plain(one) {
                self.plain(one, new, point, shown);
                continue;
            }
            match self.counterpart(one, &tag, &all, point) {
                Some(other) => {
                    if self.shapes.insert((one, other)) {
                        self.structure(one, other, point, shown);
                    }
                }
                None => self.other_shape(one, &tag, new, point, shown),
            }
        }
    }

    /// Each value that stands for all is tried.
    fn plain(&mut self, old: &Node, new: &'c Node, point: &Point, shown: &str) {
        let samples = match old {
            Node::Values { values } => values.clone(),
            Node::Plain(plain) => plain.samples(),
            Node::Text { like, .. } => like.iter().map(|like| Value::from(like.as_str())).collect(),
            _ => Vec::new(),
        };
        // An enum has each of its values; of a number one is enough.
        let each = if matches!(old, Node::Values { .. }) {
            VALUES_MAX
        } else {
            1
        };
        let mut reported = 0;
        for value in samples {
            let Err(unread) = (self.reads)(&point.with(value.clone())) else {
                continue;
            };
            if reported == each {
                break;
            }
            reported += 1;
            let change = match old {
                Node::Values { .. } => Change::Value {
                    nearest: self.nearest_value(&value, new),
                    value,
                },
                Node::Plain(Plain::Null) => Change::Null,
                old => Change::Kind {
                    was: words(self.old, old),
                    is: words(self.new, new),
                    example: value.to_string(),
                },
            };
            self.report(shown, change, &unread);
        }
        // No value in memory has more than 64 bits.
        if let (Node::Plain(Plain::Wide { signed }), 0) = (old, reported) {
            let beyond = self
                .new
                .alternatives(new)
                .into_iter()
                .all(|node| match node {
                    Node::Plain(Plain::Wide { signed: other }) => signed != other,
                    Node::Plain(Plain::Integer(..)) => true,
                    // Whether it takes all of them, nobody can say.
                    _ => false,
                });
            if beyond {
                let change = Change::Kind {
                    was: words(self.old, old),
                    is: words(self.new, new),
                    example: if *signed {
                        i128::MIN.to_string()
                    } else {
                        u128::MAX.to_string()
                    },
                };
                self.report(shown, change, &Unread::default());
            }
        }
        // What can't be tried is compared by what is known.
        if let (Node::Text { text, like: None }, 0) = (old, reported) {
            let texts = self
                .new
                .alternatives(new)
                .into_iter()
                .any(|node| match node {
                    Node::Text { text: other, .. } => text == other,
                    node => matches!(node, Node::Plain(Plain::String | Plain::Any)),
                });
            if !texts {
                let change = Change::Kind {
                    was: words(self.old, old),
                    is: words(self.new, new),
                    example: String::new(),
                };
                self.report(shown, change, &Unread::default());
            }
        }
    }

    /// The value that took the place of another, if one is like it.
    fn nearest_value(&self, gone: &Value, new: &Node) -> Option<String> {
        let gone = gone.as_str()?;
        let all = self.new.alternatives(new);
        let values = all.into_iter().filter_map(|node| match node {
            Node::Values { values } => Some(values),
            _ => None,
        });
        let texts = values.flatten().filter_map(Value::as_str);
        let old = self.old_values();
        let new = texts.filter(|text| !old.contains(&Value::from(*text)));
        nearest(gone, new)
    }

    /// All values of enums that there were: one of them is no new name.
    fn old_values(&self) -> Vec<Value> {
        let nodes = self.old.types.values().chain([&self.old.value]);
        let mut values = Vec::new();
        for node in nodes {
            collect_values(node, &mut values);
        }
        values
    }

    /// Nothing of the new type is of this shape; it may read it all the same.
    fn other_shape(
        &mut self,
        old: &Node,
        tag: &Option<Tag>,
        new: &Node,
        point: &Point,
        shown: &str,
    ) {
        for value in self.values(old) {
            if let Err(unread) = (self.reads)(&point.with(value.clone())) {
                let gone = tag
                    .as_ref()
                    .and_then(|tag| tag.values(old).into_iter().next());
                let change = match (gone, tag) {
                    (Some(gone), Some(tag)) => {
                        let all = self.new.alternatives(new);
                        let now = all.into_iter().flat_map(|node| tag.values(node));
                        let now: Vec<String> = now.collect();
                        Change::Variant {
                            nearest: nearest(&gone, now.iter().map(String::as_str)),
                            gone,
                        }
                    }
                    _ => Change::Kind {
                        was: words(self.old, old),
                        is: words(self.new, new),
                        example: value.to_string(),
                    },
                };
                self.report(shown, change, &unread);
                return;
            }
        }
    }

    /// The alternative that takes the place of an old one.
    fn counterpart(
        &self,
        old: &Node,
        tag: &Option<Tag>,
        all: &[&'c Node],
        point: &Point,
    ) -> Option<&'c Node> {
        let is_object = |node: &Node| matches!(node, Node::Fields(_) | Node::Map { .. });
        let is_list = |node: &Node| matches!(node, Node::List { .. } | Node::Tuple { .. });
        let same_kind = all
            .iter()
            .copied()
            .filter(|new| is_object(old) && is_object(new) || is_list(old) && is_list(new));
        let candidates: Vec<&Node> = same_kind.collect();
        if let Some(tag) = tag.as_ref().filter(|_| is_object(old)) {
            let values = tag.values(old);
            let with = |values: &[String]| {
                let mut all = candidates.iter().copied();
                all.find(|new| tag.values(new).iter().any(|value| values.contains(value)))
            };
            // The one with its name, or the one as which it is read if that has another name now.
            return with(&values).or_else(|| {
                candidates.iter().copied().find(|new| {
                    let sample = self.new.sample(new);
                    let other = sample.and_then(|sample| tag.put(sample, values.first()?));
                    let written = other.and_then(|other| (self.reads)(&point.with(other)).ok());
                    let now = written
                        .as_ref()
                        .and_then(|written| tag.value(point.in_whole(written)?));
                    now.is_some_and(|now| tag.values(new).contains(&now))
                })
            });
        }
        let likeness = |new: &&Node| match (old, new) {
            (Node::Fields(old), Node::Fields(new)) => old
                .all()
                .filter(|(name, ..)| new.get(name).is_some())
                .count(),
            _ => usize::from(std::mem::discriminant(old) == std::mem::discriminant(*new)),
        };
        // The first of those that are most alike.
        candidates.into_iter().rev().max_by_key(likeness)
    }

    fn structure(&mut self, old: &'c Node, new: &'c Node, point: &Point, shown: &str) {
        match (old, new) {
            (Node::List { list: old }, Node::List { list: new }) => {
                if old != new {
                    self.try_here(Value::Array(Vec::new()), "an empty list", point, shown);
                }
                let base = self.new.sample(new).into_iter().collect();
                let inner = point.based(base).step(Step::Item(0));
                self.place(old, new, &inner, &format!("{shown}[]"));
            }
            (Node::Tuple { tuple: old }, Node::Tuple { tuple: news })
                if old.len() == news.len() =>
            {
                let base = self.new.sample(new).unwrap_or_default();
                for (index, (old, new)) in old.iter().zip(news).enumerate() {
                    let inner = point.based(base.clone()).step(Step::Item(index));
                    self.place(old, new, &inner, &format!("{shown}[{index}]"));
                }
            }
            (Node::Tuple { tuple: old }, Node::List { list: new }) => {
                for (index, old) in old.iter().enumerate() {
                    let base = self.new.sample(new).into_iter().collect();
                    let inner = point.based(base).step(Step::Item(0));
                    self.place(old, new, &inner, &format!("{shown}[{index}]"));
                }
            }
            (
                Node::Map {
                    keys: old,
                    map: olds,
                },
                Node::Map {
                    keys: new,
                    map: news,
                },
            ) => {
                self.keys(old, new, news, point, shown);
                let key = self.new.key_sample(new).unwrap_or_default();
                let base = [(key.clone(), self.new.sample(news).unwrap_or_default())];
                let inner = point.based(Value::Object(base.into_iter().collect()));
                self.place(olds, news, &inner.field(&key), &format!("{shown}.*"));
            }
            (Node::Fields(old), Node::Map { map: new, .. }) => {
                for (name, old, _) in old.all() {
                    let base = [(name.to_owned(), self.new.sample(new).unwrap_or_default())];
                    let inner = point.based(Value::Object(base.into_iter().collect()));
                    self.place(old, new, &inner.field(name), &format!("{shown}.{name}"));
                }
            }
            (Node::Fields(old), Node::Fields(new)) => self.fields(old, new, point, shown),
            (Node::Map { map, .. }, Node::Fields(new)) => {
                // What is no field of it is not known any more.
                let none = Fields::default();
                self.missing(&none, new, &BTreeMap::new(), point, shown);
                self.claimed(map, &none, new, point, shown);
                if let Some(rest) = &new.rest {
                    self.rest(map, rest, UNHEARD_OF, new, point, shown);
                } else {
                    self.dropped(map, UNHEARD_OF, "*", new, point, shown);
                }
            }
            (old, new) => self.other_shape(old, &None, new, point, shown),
        }
    }

    fn try_here(&mut self, value: Value, what: &str, point: &Point, shown: &str) {
        if let Err(unread) = (self.reads)(&point.with(value.clone())) {
            let change = Change::Kind {
                was: what.to_owned(),
                is: String::new(),
                example: value.to_string(),
            };
            self.report(shown, change, &unread);
        }
    }

    fn keys(&mut self, old: &Node, new: &Node, value: &Node, point: &Point, shown: &str) {
        if old == new {
            return;
        }
        let value = self.new.sample(value).unwrap_or_default();
        for one in self.old.alternatives(old) {
            let samples = match one {
                Node::Plain(plain) => plain.samples(),
                Node::Values { values } => values.clone(),
                one => self.old.sample(one).into_iter().collect(),
            };
            for key in samples.iter().filter_map(key_text) {
                let entry = [(key.clone(), value.clone())];
                let whole = point.with(Value::Object(entry.into_iter().collect()));
                if let Err(unread) = (self.reads)(&whole) {
                    let change = Change::Kind {
                        was: format!("a map with names of the kind {}", words(self.old, old)),
                        is: format!("a map with names of the kind {}", words(self.new, new)),
                        example: Value::from(key).to_string(),
                    };
                    self.report(shown, change, &unread);
                    return;
                }
            }
        }
    }

    fn fields(&mut self, old: &'c Fields, new: &'c Fields, point: &Point, shown: &str) {
        let base = self.object(new, &[]);
        let renamed = self.renamed(old, new, point);
        for (name, node, optional) in old.all() {
            let Some((to, target)) = renamed
                .get(name)
                .and_then(|to| Some((to.as_str(), new.get(to)?)))
                .or_else(|| new.get(name).map(|target| (name, target)))
            else {
                continue;
            };
            let mut object = base.clone();
            object.remove(to);
            object.insert(name.to_owned(), self.new.sample(target).unwrap_or_default());
            let inner = point.based(object.into()).field(name);
            let shown = format!("{shown}.{to}");
            self.place(node, target, &inner, &shown);
            if optional
                && !new.optional.contains_key(to)
                && let Err(unread) = (self.reads)(&inner.without())
            {
                self.report(&shown, Change::Required, &unread);
            }
        }
        self.missing(old, new, &renamed, point, shown);
        for (name, node, _) in old.all() {
            if new.get(name).is_some() || renamed.contains_key(name) {
                continue;
            }
            match &new.rest {
                Some(rest) => self.rest(node, rest, name, new, point, shown),
                None => self.dropped(node, name, name, new, point, shown),
            }
        }
        match (&old.rest, &new.rest) {
            (Some(old), Some(rest)) => self.rest(old, rest, UNHEARD_OF, new, point, shown),
            (Some(old), None) => self.dropped(old, UNHEARD_OF, "*", new, point, shown),
            (None, _) => {}
        }
        if let Some(rest) = &old.rest {
            self.claimed(rest, old, new, point, shown);
        }
    }

    /// Fields that older values don't have.
    fn missing(
        &mut self,
        old: &Fields,
        new: &'c Fields,
        renamed: &BTreeMap<String, String>,
        point: &Point,
        shown: &str,
    ) {
        for (name, node) in &new.fields {
            if old.get(name).is_some() || renamed.values().any(|to| to == name) {
                continue;
            }
            let base = point.based(self.object(new, &[]).into());
            if let Err(unread) = (self.reads)(&base.field(name).without()) {
                let gone = old.all().filter(|(name, old, _)| {
                    new.get(name).is_none()
                        && !renamed.contains_key(*name)
                        && words(self.old, old) == words(self.new, node)
                });
                let gone: Vec<&str> = gone.map(|(name, ..)| name).collect();
                let change = Change::Missing {
                    kind: words(self.new, node),
                    was: nearest(name, gone.into_iter()),
                };
                self.report(&format!("{shown}.{name}"), change, &unread);
            }
        }
    }

    /// A field that is not known any more.
    fn dropped(
        &mut self,
        node: &Node,
        name: &str,
        called: &str,
        new: &Fields,
        point: &Point,
        shown: &str,
    ) {
        let Some(value) = self.old.full_sample(node) else {
            return;
        };
        let mut object = self.object(new, &[]);
        object.insert(name.to_owned(), value);
        let inner = point.based(object.into()).field(name);
        let shown = format!("{shown}.{called}");
        match (self.reads)(&inner.with(inner.here().cloned().unwrap_or_default())) {
            Err(unread) => self.report(&shown, Change::Refused, &unread),
            Ok(written) => {
                if inner.in_whole(&written).is_none() {
                    let came = new
                        .all()
                        .filter(|(_, other, _)| words(self.old, node) == words(self.new, other));
                    let came: Vec<&str> = came.map(|(name, ..)| name).collect();
                    let now = (called == name).then(|| nearest(name, came.into_iter()));
                    let now = now.flatten();
                    self.report(&shown, Change::Dropped { now }, &Unread::default());
                }
            }
        }
    }

    /// What a field holds that is one of the others now.
    fn rest(
        &mut self,
        old: &'c Node,
        rest: &'c Node,
        name: &str,
        new: &Fields,
        point: &Point,
        shown: &str,
    ) {
        let mut object = self.object(new, &[]);
        let sample = self.new.sample(rest).unwrap_or_default();
        object.insert(name.to_owned(), sample);
        let inner = point.based(object.into()).field(name);
        let called = if name == UNHEARD_OF { "*" } else { name };
        self.place(old, rest, &inner, &format!("{shown}.{called}"));
    }

    /// New fields whose names could have been used for anything.
    fn claimed(&mut self, rest: &Node, old: &Fields, new: &Fields, point: &Point, shown: &str) {
        let base = self.object(new, &[]);
        for (name, node, _) in new.all().filter(|(name, ..)| old.get(name).is_none()) {
            let inner = point.based(base.clone().into()).field(name);
            let samples = self
                .old
                .alternatives(rest)
                .into_iter()
                .flat_map(|one| match one {
                    Node::Plain(plain) => plain.samples(),
                    one => self.old.sample(one).into_iter().collect(),
                });
            let wrong = samples.into_iter().find_map(|value| {
                let unread = (self.reads)(&inner.with(value.clone())).err()?;
                Some((value, unread))
            });
            if let Some((example, unread)) = wrong {
                let change = Change::Claimed {
                    kind: words(self.new, node),
                    example: example.to_string(),
                };
                self.report(&format!("{shown}.{name}"), change, &unread);
            }
        }
    }

    /// Old fields that are read under other names: their value turns up there.
    fn renamed(&self, old: &Fields, new: &Fields, point: &Point) -> BTreeMap<String, String> {
        let gone: Vec<&str> = old
            .all()
            .map(|(name, ..)| name)
            .filter(|name| new.get(name).is_none())
            .collect();
        let came: Vec<(&str, &Node)> = new
            .all()
            .map(|(name, node, _)| (name, node))
            .filter(|(name, _)| old.get(name).is_none())
            .collect();
        let mut renamed = BTreeMap::new();
        if gone.len() * came.len() > PAIRS_MAX {
            return renamed;
        }
        for name in gone {
            let found = came.iter().find(|(to, node)| {
                let mut object = self.object(new, &[to]);
                object.remove(*to);
                let place = point.based(object.clone().into()).field(to);
                let without = (self.reads)(&point.with(object.clone().into())).ok();
                let before = without.as_ref().and_then(|whole| place.in_whole(whole));
                let samples = self
                    .new
                    .alternatives(node)
                    .into_iter()
                    .flat_map(|one| match one {
                        Node::Plain(plain) => plain.samples(),
                        one => [self.new.sample(one), self.new.full_sample(one)]
                            .into_iter()
                            .flatten()
                            .collect(),
                    });
                samples.into_iter().any(|value| {
                    let mut object = object.clone();
                    object.insert(name.to_owned(), value);
                    let written = (self.reads)(&point.with(object.into())).ok();
                    let after = written.as_ref().and_then(|whole| place.in_whole(whole));
                    after.is_some() && after != before
                })
            });
            if let Some((to, _)) = found {
                renamed.insert(name.to_owned(), (*to).to_owned());
            }
        }
        renamed
    }

    /// A value that the new type reads, with these of its fields that can be left out.
    fn object(&self, new: &Fields, also: &[&str]) -> Map<String, Value> {
        new.all()
            .filter(|(name, _, optional)| !optional || also.contains(name))
            .map(|(name, node, _)| (name.to_owned(), self.new.sample(node).unwrap_or_default()))
            .collect()
    }

    /// Values of the old type, of all kinds that there are.
    fn values(&self, old: &Node) -> Vec<Value> {
        let mut values = self.old.variations(old);
        values.extend(self.old.full_sample(old));
        values
    }

    /// What no part has shown may show in the whole.
    fn whole(&mut self, name: &str) {
        // Not all that a type can write is read by itself, if there are rules between its fields.
        let own = self.new.full_sample(&self.new.value);
        if !self.can_be_asked || !own.is_some_and(|own| (self.reads)(&own).is_ok()) {
            return;
        }
        for value in self.values(&self.old.value) {
            if let Err(unread) = (self.reads)(&value) {
                let example = value.to_string();
                self.report(name, Change::Whole { example }, &unread);
                return;
            }
        }
    }

    fn report(&mut self, shown: &str, change: Change, unread: &Unread) {
        self.findings.push(Finding {
            place: shown.to_owned(),
            change,
            because: unread.what.clone(),
        });
    }
}

fn is_plain(node: &Node) -> bool {
    matches!(
        node,
        Node::Plain(_) | Node::Text { .. } | Node::Values { .. }
    )
}

/// How alternatives are told apart.
enum Tag {
    /// By the value of this field.
    Field(String),
    /// By the one field that each has.
    Name,
}

impl Tag {
    /// How these are; none if there is nothing to tell apart.
    fn of(alternatives: &[&Node]) -> Option<Self> {
        let objects: Vec<&Fields> = alternatives
            .iter()
            .filter_map(|node| match node {
                Node::Fields(fields) => Some(fields),
                _ => None,
            })
            .collect();
        let (first, rest) = objects.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let is_tag = |fields: &Fields, name: &str| {
            matches!(fields.fields.get(name), Some(Node::Values { .. }))
        };
        let field = first
            .fields
            .keys()
            .find(|name| is_tag(first, name) && rest.iter().all(|fields| is_tag(fields, name)));
        if let Some(field) = field {
            return Some(Self::Field(field.clone()));
        }
        let alone = |fields: &&Fields| fields.fields.len() == 1 && fields.optional.is_empty();
        objects
            .iter()
            .all(|fields| alone(fields))
            .then_some(Self::Name)
    }

    /// What an alternative is called.
    fn values(&self, node: &Node) -> Vec<String> {
        let Node::Fields(fields) = node else {
            return Vec::new();
        };
        match self {
            Self::Field(name) => match fields.fields.get(name) {
                Some(Node::Values { values }) => values.iter().filter_map(key_text).collect(),
                _ => Vec::new(),
            },
            Self::Name => fields.fields.keys().take(1).cloned().collect(),
        }
    }

    /// A value that calls itself otherwise.
    fn put(&self, value: Value, name: &str) -> Option<Value> {
        let Value::Object(mut object) = value else {
            return None;
        };
        match self {
            Self::Field(field) => drop(object.insert(field.clone(), name.into())),
            Self::Name => {
                let (_, inner) = object.into_iter().next()?;
                object = Map::from_iter([(name.to_owned(), inner)]);
            }
        }
        Some(object.into())
    }

    /// What a value calls itself.
    fn value(&self, value: &Value) -> Option<String> {
        match self {
            Self::Field(name) => value.get(name).and_then(key_text),
            Self::Name => value.as_object()?.keys().next().cloned(),
        }
    }
}

fn collect_values(node: &Node, values: &mut Vec<Value>) {
    match node {
        Node::Values { values: some } => values.extend(some.iter().cloned()),
        Node::Plain(_) | Node::Text { .. } => {}
        Node::List { list: inner } | Node::Map { map: inner, .. } => collect_values(inner, values),
        Node::Tuple { tuple: nodes } | Node::OneOf { one_of: nodes } => {
            for node in nodes {
                collect_values(node, values);
            }
        }
        Node::Fields(fields) => {
            for (_, node, _) in fields.all() {
                collect_values(node, values);
            }
        }
    }
}

/// The name that is most like another; the only one there is, however little it is.
fn nearest<'n>(name: &str, among: impl Iterator<Item = &'n str>) -> Option<String> {
    let all: Vec<&str> = among.collect();
    if let [only] = all.as_slice() {
        return Some((*only).to_owned());
    }
    let likeness = |other: &&str| strsim::jaro_winkler(name, other);
    all.into_iter()
        .max_by(|one, two| likeness(one).total_cmp(&likeness(two)))
        .filter(|best| likeness(best) > 0.75)
        .map(str::to_owned)
}
