//! A value of the tree together with its JSON pointer.

use crate::spec::{Node, escape};

/// A value and where it is.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// The value.
    pub(super) node: &'a Node,
    /// Its JSON pointer, such as `/paths/~1pets/get`.
    pub(super) pointer: String,
}

/// What is there if nothing is: the tree needs a value to point at.
static NOTHING: Node = Node::new(
    crate::spec::Value::Null,
    crate::diagnostic::Span {
        file: 0,
        line: 1,
        column: 1,
    },
);

impl<'a> Place<'a> {
    pub(super) const fn root(node: &'a Node) -> Self {
        Self {
            node,
            pointer: String::new(),
        }
    }

    /// The member of this name, or `null`.
    pub(super) fn at(&self, name: &str) -> Self {
        Self {
            node: self.node.member(name).unwrap_or(&NOTHING),
            pointer: format!("{}/{}", self.pointer, escape(name)),
        }
    }

    /// The same place, whose value was looked up already.
    pub(super) fn of(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    /// The member of this name, if there is one.
    pub(super) fn member(&self, name: &str) -> Option<Self> {
        self.node.member(name).map(|_| self.at(name))
    }

    /// The items of a list, or nothing.
    pub(super) fn items(&self) -> impl Iterator<Item = Place<'a>> + use<'a> {
        let pointer = self.pointer.clone();
        let items = self.node.as_list().unwrap_or_default();
        items.iter().enumerate().map(move |(index, node)| Place {
            node,
            pointer: format!("{pointer}/{index}"),
        })
    }

    /// The members of an object with their names, or nothing.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'a str, Place<'a>)> + use<'a> {
        let pointer = self.pointer.clone();
        let members = self.node.as_object().into_iter().flatten();
        members.map(move |(name, member)| {
            let place = Place {
                node: &member.node,
                pointer: format!("{pointer}/{}", escape(name)),
            };
            (name.as_str(), place)
        })
    }

    /// Where it leads, if it is a reference.
    pub(super) fn reference(&self) -> Option<&'a str> {
        self.node.member("$ref")?.as_str()
    }
}
