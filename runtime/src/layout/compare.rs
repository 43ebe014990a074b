//! Whether a type reads all that another one could have written.
//!
//! The layout of the old type says which values there can be, and the new type itself is asked whether it reads them: one thing at a time, in
//! a value that it reads otherwise. So what is reported was tried, and a field that has another name by `#[serde(alias = …)]`, or a number
//! that is read from a text by `#[serde(deserialize_with = …)]`, is no false alarm. What is laid out as before is not tried: it is read.

mod fields;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::{
    finding::{Change, Finding, words},
    node::{Fields, Layout, Node, UNHEARD_OF, key_text},
    oracle::{Point, Reads, Step, Unread},
    plain::Plain,
    tag::Tag,
};

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
        if reads(point.whole()).is_err() {
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
            match self.counterpart(one, tag.as_ref(), &all, point) {
                Some(other) => {
                    if self.shapes.insert((one, other)) {
                        self.structure(one, other, point, shown);
                    }
                }
                None => self.other_shape(one, tag.as_ref(), new, point, shown),
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
        tag: Option<&Tag>,
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
        tag: Option<&Tag>,
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
        if let Some(tag) = tag.filter(|_| is_object(old)) {
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
                    self.empty_list(point, shown);
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
            (old, new) => self.other_shape(old, None, new, point, shown),
        }
    }

    fn empty_list(&mut self, point: &Point, shown: &str) {
        let empty = Value::Array(Vec::new());
        if let Err(unread) = (self.reads)(&point.with(empty.clone())) {
            let change = Change::Kind {
                was: "an empty list".to_owned(),
                is: String::new(),
                example: empty.to_string(),
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
        if !self.can_be_asked || own.is_none_or(|own| (self.reads)(&own).is_err()) {
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
