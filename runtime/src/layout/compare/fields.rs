//! The fields of objects: those that came, those that went, those that have other names.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Comparison, nearest};
use crate::layout::{
    finding::{Change, words},
    node::{Fields, Node, UNHEARD_OF},
    oracle::{Point, Unread},
};

/// Fields that went, times fields that came, beyond which nobody looks for new names.
const PAIRS_MAX: usize = 400;

impl<'c> Comparison<'c> {
    pub(super) fn fields(&mut self, old: &'c Fields, new: &'c Fields, point: &Point, shown: &str) {
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
    pub(super) fn missing(
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
    pub(super) fn dropped(
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
    pub(super) fn rest(
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
    pub(super) fn claimed(
        &mut self,
        rest: &Node,
        old: &Fields,
        new: &Fields,
        point: &Point,
        shown: &str,
    ) {
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
}
