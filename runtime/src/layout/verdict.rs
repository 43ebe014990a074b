//! What a build can read of what was written before, in words and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    finding::{Finding, Owner},
    history::History,
    state::{AskedState, Reading, StateLayout},
};

/// What is said of all states.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Whether all that was written can be read.
    pub(crate) compatible: bool,
    /// Whether nothing is new.
    pub(crate) recorded: bool,
    pub(crate) states: Vec<StateVerdict>,
    /// Topics that no state has any more.
    pub(crate) gone: Vec<String>,
    /// The file as it is if all of this is accepted.
    pub(crate) accepted: String,
}

/// What is said of a state.
#[derive(Debug, Serialize)]
pub(crate) struct StateVerdict {
    pub(crate) state: &'static str,
    pub(crate) topic: String,
    pub(crate) verdict: Word,
    /// Whether this layout was accepted before.
    pub(crate) recorded: bool,
    /// Why values can't be read.
    pub(crate) problems: Vec<Said>,
    /// What is good to know.
    pub(crate) notes: Vec<Said>,
    /// The types by which older values are read.
    pub(crate) migrated: Vec<&'static str>,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    /// Nothing is known of what was written.
    New,
    /// As it was.
    Same,
    /// Otherwise, and older values are read.
    Compatible,
    /// Older values can't be read.
    Incompatible,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    /// Such as `Vertex.edges[].weight`.
    pub(crate) place: String,
    pub(crate) what: String,
    /// What the type says when it is to read such a value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) because: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Said {
    fn new(finding: &Finding, owner: Owner<'_>) -> Self {
        Self {
            place: finding.place.clone(),
            what: finding.what(),
            because: finding.because.clone(),
            mend: finding.mend(owner),
        }
    }
}

impl StateVerdict {
    /// What is said of a state, by what was kept of it.
    pub(crate) fn new(state: &AskedState, kept: &[StateLayout]) -> Self {
        let mut verdict = Self {
            state: state.definition.name,
            topic: state.topic.name.clone(),
            verdict: if kept.is_empty() {
                Word::New
            } else {
                Word::Same
            },
            recorded: kept
                .iter()
                .any(|layout| layout.written_fingerprint() == Some(state.fingerprint)),
            problems: Vec::new(),
            notes: Vec::new(),
            migrated: Vec::new(),
        };
        for layout in kept {
            verdict.add(state, layout, state.judge(layout));
        }
        verdict
    }

    fn add(&mut self, state: &AskedState, layout: &StateLayout, reading: Reading) {
        let findings = match reading {
            Reading::Directly(notes) => notes,
            Reading::Migrated(_, name) => {
                if !self.migrated.contains(&name) {
                    self.migrated.push(name);
                }
                Vec::new()
            }
            Reading::Not(findings) => {
                self.verdict = Word::Incompatible;
                findings
            }
        };
        if self.verdict == Word::Same && layout.written_fingerprint() != Some(state.fingerprint) {
            self.verdict = Word::Compatible;
        }
        for finding in &findings {
            let said = Said::new(finding, state.owner());
            let list = if finding.is_error() {
                &mut self.problems
            } else {
                &mut self.notes
            };
            // Of several older layouts, each may lack the same field.
            let known = |other: &Said| (&other.place, &other.what) == (&said.place, &said.what);
            if !list.iter().any(known) {
                list.push(said);
            }
        }
    }
}

impl Verdict {
    /// What is said of the states of a build, by all that was kept.
    pub(crate) fn new(states: &[AskedState], history: &History) -> Self {
        let mut accepted = history.clone();
        let mut verdict = Self {
            compatible: true,
            recorded: true,
            ..Self::default()
        };
        let has = |topic: &str| states.iter().any(|state| state.topic.name == topic);
        let mut gone: Vec<&String> = history.topics.keys().filter(|topic| !has(topic)).collect();
        for state in states {
            let topic = &state.topic.name;
            let kept = history.topics.get(topic).map_or(&[][..], Vec::as_slice);
            let mut said = StateVerdict::new(state, kept);
            let is_last_of = |topic: &&String| {
                let last = history
                    .topics
                    .get(*topic)
                    .and_then(|layouts| layouts.first());
                last.is_some_and(|last| last.state == state.definition.name)
            };
            if kept.is_empty()
                && let Some(place) = gone.iter().position(is_last_of)
            {
                let before = gone.remove(place);
                said.verdict = Word::Incompatible;
                said.problems.push(Said {
                    place: state.definition.name.to_owned(),
                    what: format!("its topic was `{before}` and is now `{topic}`: what is in `{before}` is not read any more"),
                    because: String::new(),
                    mend: Some(format!(
                        "`topic = \"{before}\"`, or `memgen check --forget {before}` if nobody needs it"
                    )),
                });
            }
            verdict.compatible &= said.verdict != Word::Incompatible;
            if !said.recorded {
                verdict.recorded = false;
                accepted.add(topic, state.layout.clone());
            }
            verdict.states.push(said);
        }
        verdict.gone = gone.into_iter().cloned().collect();
        verdict.accepted = accepted.text();
        verdict
    }

    /// What is wrong, for people.
    pub(crate) fn problems(&self) -> String {
        let mut text = String::new();
        for state in &self.states {
            for said in &state.problems {
                let _ = writeln!(
                    text,
                    "`{}` (topic `{}`): {}",
                    said.place, state.topic, said.what
                );
                if !said.because.is_empty() {
                    let _ = writeln!(text, "   the type says: {}", said.because);
                }
                if let Some(mend) = &said.mend {
                    let _ = writeln!(text, "   mend: {mend}");
                }
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}
