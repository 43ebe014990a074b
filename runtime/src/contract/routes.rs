//! From method and path to an operation of the document.
//!
//! A document has paths that a router of whole segments can't tell apart: `/{a}-{b}`, `/x/{id}.json`, `/x/{id}:cancel`, and the same path under two names of
//! its parameter. So there is a tree of segments, tried from the most literal to the most open.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::http::Method;
use percent_encoding::percent_decode_str;

/// The operations by method and path.
#[derive(Debug)]
pub(crate) struct Routes<T> {
    root: Segment<T>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'r, T> {
    /// An operation, and the decoded text of each placeholder by the name that the operation gives it.
    Operation(&'r T, Vec<(&'r str, String)>),
    /// The path is known with these methods only.
    OtherMethods(Vec<Method>),
    /// The path is not known.
    Nothing,
    /// The text of this placeholder is not UTF-8.
    NotText(&'r str),
}

#[derive(Debug)]
struct Segment<T> {
    literals: HashMap<String, Segment<T>>,
    /// From those with more literal text to those with less.
    patterns: Vec<(Pattern, Segment<T>)>,
    /// By the name of the method: `Method` has no order.
    operations: BTreeMap<String, Leaf<T>>,
}

#[derive(Debug)]
struct Leaf<T> {
    names: Vec<String>,
    operation: T,
}

impl<T> Default for Segment<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            patterns: Vec::new(),
            operations: BTreeMap::new(),
        }
    }
}

/// A segment with placeholders: what stands before, between and after them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    prefix: String,
    /// What follows each placeholder; the last one may be empty.
    after: Vec<String>,
}

impl Pattern {
    /// The pattern of a segment and the names in it, if it has placeholders.
    fn parse(segment: &str) -> Option<(Self, Vec<String>)> {
        let (prefix, mut rest) = segment.split_once('{')?;
        let (mut after, mut names) = (Vec::new(), Vec::new());
        loop {
            let (name, more) = rest.split_once('}')?;
            names.push(name.to_owned());
            if let Some((between, next)) = more.split_once('{') {
                after.push(between.to_owned());
                rest = next;
            } else {
                after.push(more.to_owned());
                let prefix = prefix.to_owned();
                return Some((Self { prefix, after }, names));
            }
        }
    }

    fn literal_length(&self) -> usize {
        self.prefix.len() + self.after.iter().map(String::len).sum::<usize>()
    }

    /// The texts of the placeholders, each as short as can be but the last, none of them empty.
    fn matches<'p>(&self, segment: &'p str) -> Option<Vec<&'p str>> {
        let (last, between) = self.after.split_last()?;
        let mut rest = segment.strip_prefix(self.prefix.as_str())?;
        rest = rest.strip_suffix(last.as_str())?;
        let mut values = Vec::with_capacity(self.after.len());
        for literal in between {
            // One character at least belongs to the placeholder.
            let first = rest.chars().next()?.len_utf8();
            let length = if literal.is_empty() {
                first
            } else {
                first + rest.get(first..)?.find(literal.as_str())?
            };
            values.push(&rest[..length]);
            rest = &rest[length + literal.len()..];
        }
        if rest.is_empty() {
            return None;
        }
        values.push(rest);
        Some(values)
    }
}

impl<T> Routes<T> {
    pub(crate) fn new() -> Self {
        Self {
            root: Segment::default(),
        }
    }

    /// Adds an operation. Returns it if there is one already.
    pub(crate) fn add(&mut self, method: &Method, path: &str, operation: T) -> Result<(), T> {
        let mut names = Vec::new();
        let mut at = &mut self.root;
        for segment in path.split('/').skip(1) {
            at = match Pattern::parse(segment) {
                None => at
                    .literals
                    .entry(decoded(segment).unwrap_or_else(|| segment.to_owned()))
                    .or_default(),
                Some((pattern, own)) => {
                    names.extend(own);
                    let index = if let Some(index) =
                        at.patterns.iter().position(|(known, _)| *known == pattern)
                    {
                        index
                    } else {
                        let length = pattern.literal_length();
                        let index = at
                            .patterns
                            .partition_point(|(known, _)| known.literal_length() >= length);
                        at.patterns.insert(index, (pattern, Segment::default()));
                        index
                    };
                    &mut at.patterns[index].1
                }
            };
        }
        if at.operations.contains_key(method.as_str()) {
            return Err(operation);
        }
        at.operations
            .insert(method.as_str().to_owned(), Leaf { names, operation });
        Ok(())
    }

    /// Finds what answers.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_, T> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let mut seen = Seen::default();
        let found = self
            .root
            .find(&segments, &mut Vec::new(), method.as_str(), &mut seen);
        let Some((leaf, values)) = found else {
            if seen.methods.is_empty() {
                return Found::Nothing;
            }
            let has = |name: &str| seen.methods.contains(name);
            let head = (has("GET") && !has("HEAD")).then_some("HEAD");
            let methods = seen.methods.iter().map(String::as_str).chain(head);
            let methods = methods.filter_map(|name| Method::from_bytes(name.as_bytes()).ok());
            return Found::OtherMethods(methods.collect());
        };
        let mut parameters = Vec::with_capacity(values.len());
        for (name, value) in leaf.names.iter().zip(values) {
            let Some(value) = decoded(value) else {
                return Found::NotText(name);
            };
            parameters.push((name.as_str(), value));
        }
        Found::Operation(&leaf.operation, parameters)
    }
}

impl<T> Segment<T> {
    /// Depth first, and back where a way leads nowhere. A path without placeholders hides the others whatever its methods are, as OpenAPI has it.
    /// Each segment is looked at by each pattern once on a way, and patterns of one place are few.
    fn find<'r, 'p>(
        &'r self,
        segments: &[&'p str],
        values: &mut Vec<&'p str>,
        method: &str,
        seen: &mut Seen,
    ) -> Option<(&'r Leaf<T>, Vec<&'p str>)> {
        let Some((segment, rest)) = segments.split_first() else {
            // `HEAD` is answered as `GET` is, where the document has none of its own.
            let own = self.operations.get(method);
            let leaf = own.or_else(|| {
                (method == "HEAD")
                    .then(|| self.operations.get("GET"))
                    .flatten()
            });
            if leaf.is_none() && !self.operations.is_empty() {
                seen.methods.extend(self.operations.keys().cloned());
                seen.concrete |= values.is_empty();
            }
            return leaf.map(|leaf| (leaf, values.clone()));
        };
        let literal = if segment.contains('%') {
            decoded(segment).and_then(|segment| self.literals.get(&segment))
        } else {
            self.literals.get(*segment)
        };
        let found = literal.and_then(|next| next.find(rest, values, method, seen));
        if found.is_some() || seen.concrete {
            return found;
        }
        for (pattern, next) in &self.patterns {
            let Some(own) = pattern.matches(segment) else {
                continue;
            };
            let before = values.len();
            values.extend(own);
            if let Some(found) = next.find(rest, values, method, seen) {
                return Some(found);
            }
            values.truncate(before);
        }
        None
    }
}

/// What was met on the way to nothing.
#[derive(Default)]
struct Seen {
    methods: BTreeSet<String>,
    /// The path itself is known, without placeholders.
    concrete: bool,
}

fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes<&'static str> {
        let mut routes = Routes::new();
        for (method, path) in [
            (Method::GET, "/pets"),
            (Method::GET, "/pets/{id}"),
            (Method::PUT, "/pets/{petId}"),
            (Method::GET, "/pets/mine"),
            (Method::DELETE, "/pets/mine/{x}"),
            (Method::GET, "/pets/{id}/{y}"),
            (Method::GET, "/pets/{id}.json"),
            (Method::POST, "/pets/{id}:cancel"),
            (Method::GET, "/range/{from}-{to}"),
            (Method::GET, "/slash/"),
            (Method::GET, "/a b/{c}"),
            (Method::GET, "/"),
        ] {
            routes.add(&method, path, path).unwrap();
        }
        routes
    }

    #[test]
    fn the_most_literal_path_answers() {
        let routes = routes();
        let found = |path, values: &[(&'static str, &str)]| {
            let values = values
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()));
            (path, values.collect::<Vec<_>>())
        };
        let rows = [
            ("GET", "/pets", found("/pets", &[])),
            ("GET", "/pets/7", found("/pets/{id}", &[("id", "7")])),
            ("HEAD", "/pets/7", found("/pets/{id}", &[("id", "7")])),
            ("PUT", "/pets/7", found("/pets/{petId}", &[("petId", "7")])),
            ("GET", "/pets/mine", found("/pets/mine", &[])),
            (
                "GET",
                "/pets/mine/2",
                found("/pets/{id}/{y}", &[("id", "mine"), ("y", "2")]),
            ),
            (
                "GET",
                "/pets/7.json",
                found("/pets/{id}.json", &[("id", "7")]),
            ),
            (
                "POST",
                "/pets/7:cancel",
                found("/pets/{id}:cancel", &[("id", "7")]),
            ),
            ("GET", "/pets/a%2Fb", found("/pets/{id}", &[("id", "a/b")])),
            (
                "GET",
                "/pets/%7Bid%7D",
                found("/pets/{id}", &[("id", "{id}")]),
            ),
            (
                "GET",
                "/range/1-2-3",
                found("/range/{from}-{to}", &[("from", "1"), ("to", "2-3")]),
            ),
            ("GET", "/slash/", found("/slash/", &[])),
            ("GET", "/a%20b/c", found("/a b/{c}", &[("c", "c")])),
            ("GET", "/", found("/", &[])),
        ];
        for (method, path, (template, values)) in rows {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let expected = Found::Operation(&template, values);
            assert_eq!(routes.find(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_apart() {
        let mut routes = routes();
        assert!(routes.add(&Method::GET, "/pets/{other}", "again").is_err());
        for path in [
            "/other",
            "/slash",
            "/pets/",
            "/pets/1/2/3",
            "",
            "/range/-2",
            "/range/1-",
        ] {
            assert_eq!(routes.find(&Method::GET, path), Found::Nothing, "{path}");
        }
        let rows = [
            (Method::DELETE, "/pets", vec![Method::GET, Method::HEAD]),
            // Not `/pets/{petId}`: the concrete path is the one that is meant.
            (Method::PUT, "/pets/mine", vec![Method::GET, Method::HEAD]),
            (
                Method::PATCH,
                "/pets/7",
                vec![Method::GET, Method::PUT, Method::HEAD],
            ),
        ];
        for (method, path, methods) in rows {
            assert_eq!(
                routes.find(&method, path),
                Found::OtherMethods(methods),
                "{path}"
            );
        }
        assert_eq!(routes.find(&Method::GET, "/pets/%ff"), Found::NotText("id"));
    }
}
