//! The layout of a state: its topic, its key, its values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    asked::Asked,
    finding::{Change, Finding, Owner},
    node::{Layout, Node, key_text},
};
use crate::{
    key::{key_text as text_of, parse_key, push_part},
    log::Topic,
    state::{Definition, State},
};

/// How a state is kept, as it is written into files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateLayout {
    /// The name of the struct.
    pub(crate) state: String,
    /// What records of this layout carry, in hexadecimal digits.
    pub(crate) fingerprint: String,
    pub(crate) partitions: u32,
    pub(crate) partitioner: String,
    pub(crate) format: String,
    /// The parts of the key, in order.
    pub(crate) key: Vec<KeyPart>,
    #[serde(flatten)]
    pub(crate) layout: Layout,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyPart {
    /// The name of its field in JSON.
    pub(crate) name: String,
    pub(crate) kind: Node,
}

impl StateLayout {
    /// The topic of this layout.
    pub(crate) fn topic(&self, name: &str) -> Topic {
        Topic {
            name: name.to_owned(),
            partitions: self.partitions,
            partitioner: self.partitioner.clone(),
            format: self.format.clone(),
        }
    }

    /// What records of this layout carry, as the build has it that wrote them.
    pub(crate) fn written_fingerprint(&self) -> Option<u64> {
        u64::from_str_radix(&self.fingerprint, 16).ok()
    }
}

/// A hash of how values are written. It differs when that does, and is the same at each node.
fn fingerprint(format: &str, layout: &Layout) -> u64 {
    let text = format!("{format}\n{}", layout.canonical());
    // Zero is for writers that are not memgen.
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()).max(1)
}

/// A state of this build, which can be asked what it reads.
pub(crate) struct AskedState {
    pub(crate) definition: &'static Definition,
    pub(crate) topic: Topic,
    pub(crate) layout: StateLayout,
    pub(crate) fingerprint: u64,
    value: Asked,
    /// Reads the text of a key and writes it again.
    key: fn(&str) -> Result<String, String>,
    older: Vec<Older>,
}

/// A type that a migration reads.
struct Older {
    name: &'static str,
    value: Asked,
    fingerprint: u64,
}

/// How values of some layout are read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    /// By the type itself. What is said of it is good to know.
    Directly(Vec<Finding>),
    /// By the migration at this place, of this name.
    Migrated(usize, &'static str),
    /// Not. Some of it is good to know, the rest is why.
    Not(Vec<Finding>),
}

impl AskedState {
    /// Finds out how a state is laid out.
    pub(crate) fn of<S: State>(topic: Topic) -> Self {
        let definition = const { &S::DEFINITION };
        let value = Asked::of::<S>(definition.entity);
        let fields = value.layout.alternatives(&value.layout.value);
        let kind = |name: &str| {
            let known = fields.iter().find_map(|node| match node {
                Node::Fields(fields) => fields.get(name),
                _ => None,
            });
            // A reference would need the types of the value.
            known.map_or(Node::Plain(super::plain::Plain::Any), |node| {
                value.layout.resolve(node).clone()
            })
        };
        let key = definition.key_names.iter().map(|name| KeyPart {
            name: (*name).to_owned(),
            kind: kind(name),
        });
        let of_value = fingerprint(&topic.format, &value.layout);
        let older = S::migrations().into_iter().map(|migration| {
            let value = (migration.asked)(definition.entity);
            Older {
                name: migration.name,
                fingerprint: fingerprint(&topic.format, &value.layout),
                value,
            }
        });
        let older = older.collect();
        Self {
            definition,
            fingerprint: of_value,
            layout: StateLayout {
                state: definition.name.to_owned(),
                fingerprint: format!("{of_value:016x}"),
                partitions: topic.partitions,
                partitioner: topic.partitioner.clone(),
                format: topic.format.clone(),
                key: key.collect(),
                layout: value.layout.clone(),
            },
            topic,
            value,
            key: |text| {
                let key = parse_key::<S>(text).map_err(|error| error.to_string())?;
                Ok(text_of::<S>(&key))
            },
            older,
        }
    }

    /// Migrations that can't be meant.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let name = self.definition.name;
        let mut known = vec![(name, self.fingerprint)];
        let mut mistakes = Vec::new();
        for older in &self.older {
            match known.iter().find(|(_, known)| *known == older.fingerprint) {
                Some((same, _)) => mistakes.push(format!(
                    "`#[migrate(from = {})]` above `{name}`: its values are written like those of `{same}`, so they can't be told apart; remove it",
                    older.name
                )),
                None => known.push((older.name, older.fingerprint)),
            }
        }
        mistakes
    }

    /// Whether these layouts are of the very topic that this build has: with the same partitions, for one.
    pub(crate) fn has_topic_of(&self, layouts: &[StateLayout]) -> bool {
        let differs = |layout: &StateLayout| {
            let topic = layout.topic(&self.topic.name);
            topic.difference(&self.topic).is_some()
        };
        !layouts.iter().any(differs)
    }

    /// Who says what mends it.
    pub(crate) fn owner(&self) -> Owner<'static> {
        Owner {
            state: self.definition.name,
            entity: self.definition.entity,
        }
    }

    /// How values are read that were written under this layout.
    pub(crate) fn judge(&self, kept: &StateLayout) -> Reading {
        let name = self.definition.name;
        let mut findings = self.keys(kept);
        if let Some(what) = kept.topic(&self.topic.name).difference(&self.topic) {
            findings.push(Finding {
                place: name.to_owned(),
                change: Change::Topic { what },
                because: String::new(),
            });
        }
        let wrong = !findings.is_empty();
        let written = kept.written_fingerprint();
        let now = fingerprint(&kept.format, &kept.layout);
        let is = |fingerprint: u64| written == Some(fingerprint) || now == fingerprint;
        if is(self.fingerprint) {
            return if wrong {
                Reading::Not(findings)
            } else {
                Reading::Directly(Vec::new())
            };
        }
        let migrated = |(index, older): (usize, &Older)| Reading::Migrated(index, older.name);
        let mut older = self.older.iter().enumerate();
        if !wrong && let Some(same) = older.find(|(_, older)| is(older.fingerprint)) {
            return migrated(same);
        }
        let direct = self.value.compare(name, &kept.layout);
        let readable = direct.iter().all(|finding| !finding.is_error());
        if !wrong && readable {
            return Reading::Directly(direct);
        }
        let mut older = self.older.iter().enumerate();
        let unread = |older: &Older| {
            let findings = older.value.compare(older.name, &kept.layout);
            findings.into_iter().find(Finding::is_error)
        };
        if !wrong && let Some(reader) = older.find(|(_, older)| unread(older).is_none()) {
            return migrated(reader);
        }
        let of_migrations = self.older.iter().filter_map(|older| {
            let first = unread(older)?;
            Some(Finding {
                place: older.name.to_owned(),
                change: Change::Migration {
                    what: format!("{}: {}", first.place, first.what()),
                },
                because: first.because,
            })
        });
        // What is said of a part of the key is not said again of its field.
        let of_key: Vec<String> = findings
            .iter()
            .map(|finding| finding.place.clone())
            .collect();
        findings.extend(
            direct
                .into_iter()
                .filter(|finding| !of_key.contains(&finding.place)),
        );
        findings.extend(of_migrations);
        Reading::Not(findings)
    }

    /// What can't be read of older keys.
    fn keys(&self, kept: &StateLayout) -> Vec<Finding> {
        let name = self.definition.name;
        let finding = |place: String, what: String, because: String| Finding {
            place,
            change: Change::Key { what },
            because,
        };
        if kept.key.len() != self.layout.key.len() {
            let names = |key: &[KeyPart]| {
                let names: Vec<String> =
                    key.iter().map(|part| format!("`{}`", part.name)).collect();
                names.join(", ")
            };
            let what = format!(
                "the key was {} and is now {}",
                names(&kept.key),
                names(&self.layout.key)
            );
            return vec![finding(name.to_owned(), what, String::new())];
        }
        let samples: Vec<Vec<String>> = kept
            .key
            .iter()
            .map(|part| texts(kept, &part.kind))
            .collect();
        let base: Vec<String> = self
            .layout
            .key
            .iter()
            .map(|part| {
                texts(&self.layout, &part.kind)
                    .into_iter()
                    .next()
                    .unwrap_or_default()
            })
            .collect();
        let mut findings = Vec::new();
        for (index, part) in kept.key.iter().enumerate() {
            if part.kind == self.layout.key[index].kind {
                continue;
            }
            let wrong = samples[index].iter().find_map(|sample| {
                let mut parts = base.clone();
                parts[index].clone_from(sample);
                let text = joined(&parts);
                match (self.key)(&text) {
                    Ok(same) if same == text => None,
                    Ok(other) => Some((sample, format!("`{text}` becomes `{other}`"))),
                    Err(because) => Some((sample, because)),
                }
            });
            if let Some((sample, because)) = wrong {
                let now = &self.layout.key[index];
                let what = format!(
                    "this part of the key was {} and is now {}: `{sample}` can't be read",
                    super::finding::words(&kept.layout, &part.kind),
                    super::finding::words(&self.layout.layout, &now.kind),
                );
                findings.push(finding(format!("{name}.{}", now.name), what, because));
            }
        }
        findings
    }
}

/// Texts of a part of a key.
fn texts(of: &StateLayout, kind: &Node) -> Vec<String> {
    let values = of.layout.variations(kind);
    let texts = values.iter().filter_map(|value: &Value| key_text(value));
    // No key is empty.
    texts.filter(|text| !text.is_empty()).collect()
}

/// Parts as the text of a key.
fn joined(parts: &[String]) -> String {
    if let [only] = parts {
        return only.clone();
    }
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.push('/');
        }
        push_part(&mut text, part);
    }
    text
}
