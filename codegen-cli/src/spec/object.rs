//! The members of an object, in order and in little room.

use std::collections::HashMap;

use super::node::{Member, Text};

/// The most members that are looked through one by one. Almost all objects of a document have fewer.
const SCAN_MAX: usize = 16;

/// The members of an object, in order.
///
/// A document of 50 MB has a million of them, most with one to five members: so there is an index only where there are many. On the heap, so that a value is
/// no larger than its smaller kinds.
#[derive(Clone, Debug, Default)]
pub struct Object(Box<Members>);

#[derive(Clone, Debug, Default)]
struct Members {
    list: Vec<(Text, Member)>,
    /// Where each is, if there are more than [`SCAN_MAX`].
    index: Option<HashMap<Text, usize>>,
}

impl Object {
    /// One without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One with room for so many members.
    #[must_use]
    pub fn with_capacity(members: usize) -> Self {
        let mut object = Self::new();
        object.0.list.reserve_exact(members);
        object
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    fn find(&self, name: &str) -> Option<usize> {
        match &self.0.index {
            Some(index) => index.get(name).copied(),
            None => self.0.list.iter().position(|(known, _)| known == name),
        }
    }

    /// The member of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Member> {
        Some(&self.0.list[self.find(name)?].1)
    }

    /// The member of a name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Member> {
        let place = self.find(name)?;
        Some(&mut self.0.list[place].1)
    }

    /// Whether there is a member of this name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Adds a member, or puts it in the place of the one with this name, which is returned.
    pub fn insert(&mut self, name: Text, member: Member) -> Option<Member> {
        if let Some(known) = self.get_mut(&name) {
            return Some(std::mem::replace(known, member));
        }
        let Members { list, index } = &mut *self.0;
        if let Some(index) = index {
            index.insert(name.clone(), list.len());
        }
        list.push((name, member));
        if index.is_none() && list.len() > SCAN_MAX {
            let places = list.iter().enumerate();
            let places = places.map(|(place, (name, _))| (name.clone(), place));
            *index = Some(places.collect());
        }
        None
    }

    /// The member of a name; if there is none, a new one.
    pub fn get_or_insert_with(&mut self, name: &str, new: impl FnOnce() -> Member) -> &mut Member {
        let place = self.find(name).unwrap_or_else(|| {
            self.insert(name.into(), new());
            self.len() - 1
        });
        &mut self.0.list[place].1
    }

    /// Takes a member out. The others stay in order.
    pub fn remove(&mut self, name: &str) -> Option<Member> {
        let place = self.find(name)?;
        let Members { list, index } = &mut *self.0;
        let (name, member) = list.remove(place);
        if let Some(index) = index {
            index.remove(&*name);
            for later in index.values_mut().filter(|later| **later > place) {
                *later -= 1;
            }
        }
        Some(member)
    }

    /// Gives back the room that is not needed.
    pub fn shrink_to_fit(&mut self) {
        self.0.list.shrink_to_fit();
    }

    /// The names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.0.list.iter().map(|(name, _)| name)
    }

    /// The members, in order.
    pub fn values(&self) -> impl Iterator<Item = &Member> {
        self.0.list.iter().map(|(_, member)| member)
    }

    /// The names and members, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.0.list.iter().map(|(name, member)| (name, member))
    }

    /// The names and members in order, the latter to be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        self.0
            .list
            .iter_mut()
            .map(|(name, member)| (&*name, member))
    }
}

/// See [`Object::iter`].
pub(super) type Iter<'a> = std::iter::Map<
    std::slice::Iter<'a, (Text, Member)>,
    fn(&'a (Text, Member)) -> (&'a Text, &'a Member),
>;

/// See [`Object::iter_mut`].
pub(super) type IterMut<'a> = std::iter::Map<
    std::slice::IterMut<'a, (Text, Member)>,
    fn(&'a mut (Text, Member)) -> (&'a Text, &'a mut Member),
>;

/// The order of names does not count.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(name, member)| other.get(name) == Some(member))
    }
}

impl Extend<(Text, Member)> for Object {
    fn extend<I: IntoIterator<Item = (Text, Member)>>(&mut self, members: I) {
        for (name, member) in members {
            self.insert(name, member);
        }
    }
}

impl FromIterator<(Text, Member)> for Object {
    fn from_iter<I: IntoIterator<Item = (Text, Member)>>(members: I) -> Self {
        let members = members.into_iter();
        let mut object = Self::with_capacity(members.size_hint().0);
        object.extend(members);
        object
    }
}

impl IntoIterator for Object {
    type Item = (Text, Member);
    type IntoIter = std::vec::IntoIter<(Text, Member)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a Text, &'a Member);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Object {
    type Item = (&'a Text, &'a mut Member);
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostic::Span, spec::Node};

    /// The same as a list that is looked through, below and above the size from which on there is an index.
    #[test]
    fn small_or_large_it_is_the_same() {
        let member = |number: usize| Member {
            name: Span::default(),
            node: Node::text(number.to_string(), Span::default()),
        };
        let mut random = fastrand::Rng::with_seed(7);
        let mut object = Object::new();
        let mut expected: Vec<(String, Member)> = Vec::new();
        for step in 0..4000 {
            // It grows, and then shrinks.
            let name = format!("n{}", random.usize(..40));
            let place = expected.iter().position(|(known, _)| *known == name);
            if random.usize(..4000) > step {
                let before = object.insert(name.as_str().into(), member(step));
                let known =
                    place.map(|place| std::mem::replace(&mut expected[place].1, member(step)));
                assert_eq!(before, known);
                if place.is_none() {
                    expected.push((name, member(step)));
                }
            } else {
                let taken = place.map(|place| expected.remove(place).1);
                assert_eq!(object.remove(&name), taken);
            }
            let members = object
                .iter()
                .map(|(name, it)| (name.to_string(), it.clone()));
            assert_eq!(members.collect::<Vec<_>>(), expected);
            for number in 0..40 {
                let name = format!("n{number}");
                let known = expected.iter().find(|(known, _)| *known == name);
                assert_eq!(object.get(&name), known.map(|(_, member)| member));
            }
        }
    }
}
