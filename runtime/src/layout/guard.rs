//! Before a service starts: whether it can read the log that is there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tracing::info;

use super::{
    finding::Finding,
    state::{AskedState, Reading, StateLayout},
    verdict::{StateVerdict, Verdict, Word},
};
use crate::{
    log::{self, KeptLayout, Log, LogError},
    migration::Readers,
    state::State,
};

/// How the values of each topic are read.
#[derive(Debug, Default)]
pub(crate) struct Admitted(HashMap<String, AdmittedTopic>);

/// How the values of a topic are read.
#[derive(Debug, Default)]
pub(super) struct AdmittedTopic {
    /// What this build writes.
    pub(super) fingerprint: u64,
    /// Which migration reads the values of a layout.
    pub(super) migrated: HashMap<u64, usize>,
    /// The layouts that this build reads without losing anything. All others may say more than it has a place for.
    pub(super) whole: HashSet<u64>,
}

impl Admitted {
    /// How the values of a state are read. `shared` says whether other builds may write while this one runs: what they say and this one has no place for is kept then.
    pub(crate) fn readers<S: State>(&self, shared: bool) -> Arc<Readers<S>> {
        let topic = self.topic(S::DEFINITION.topic);
        let whole = shared.then(|| topic.whole.clone());
        Readers::new(topic.fingerprint, &topic.migrated, whole)
    }

    /// How the values of a topic are read.
    pub(super) fn topic(&self, name: &str) -> &AdmittedTopic {
        self.0
            .get(name)
            .expect("all states of a service are admitted together")
    }
}

/// Why a service is not admitted to a log.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It could not read what is there.
    Incompatible(Verdict),
    /// What is kept with the log can't be read.
    Unreadable(String),
    Log(LogError),
}

impl From<LogError> for Refused {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// Compares the states with the layouts that the log keeps. If all can be read the topics are declared, and the layouts kept; otherwise nothing is changed.
pub(crate) async fn admit(log: &dyn Log, states: &[AskedState]) -> Result<Admitted, Refused> {
    let (admitted, new) = judge(log, states).await?;
    for state in states {
        log.declare(&state.topic).await?;
    }
    for (state, word) in new {
        let layout = KeptLayout {
            fingerprint: state.fingerprint,
            text: text(&state.layout),
        };
        log.keep_layout(&state.topic.name, &layout).await?;
        if word != Word::New {
            info!(
                state = state.definition.name,
                topic = state.topic.name,
                "its values are laid out otherwise than before; those that are there can be read"
            );
        }
    }
    Ok(admitted)
}

/// The same for a log that is only looked at: nothing is changed.
pub(crate) async fn look(log: &dyn Log, states: &[AskedState]) -> Result<Admitted, Refused> {
    judge(log, states).await.map(|(admitted, _)| admitted)
}

/// How the values of each topic are read, and the states of which the log does not keep the layout yet.
async fn judge<'s>(
    log: &dyn Log,
    states: &'s [AskedState],
) -> Result<(Admitted, Vec<(&'s AskedState, Word)>), Refused> {
    let mut admitted = Admitted::default();
    let mut verdict = Verdict::default();
    let mut new = Vec::new();
    for state in states {
        let kept = log.layouts(&state.topic.name).await?;
        let known = kept
            .iter()
            .any(|kept| kept.fingerprint == state.fingerprint);
        let mut layouts = parse(&state.topic.name, &kept).map_err(Refused::Unreadable)?;
        let mut said = StateVerdict::new(state, &layouts);
        if said.verdict == Word::Incompatible {
            if state.has_topic_of(&layouts) {
                // As it is there already, nothing changes by this.
                log.declare(&state.topic).await?;
                retain_written(&mut layouts, &log::written(log, &state.topic).await?);
            }
            said = StateVerdict::new(state, &layouts);
        }
        let mut topic = AdmittedTopic {
            fingerprint: state.fingerprint,
            ..AdmittedTopic::default()
        };
        for layout in &layouts {
            let Some(fingerprint) = layout.written_fingerprint() else {
                continue;
            };
            match state.judge(layout) {
                Reading::Migrated(index, _) => {
                    topic.migrated.insert(fingerprint, index);
                    topic.whole.insert(fingerprint);
                }
                Reading::Directly(notes) if !notes.iter().any(Finding::loses) => {
                    topic.whole.insert(fingerprint);
                }
                Reading::Directly(_) | Reading::Not(_) => {}
            }
        }
        admitted.0.insert(state.topic.name.clone(), topic);
        if !known {
            new.push((state, said.verdict));
        }
        verdict.states.push(said);
    }
    let mut verdicts = verdict.states.iter().map(|state| state.verdict);
    if verdicts.any(|verdict| verdict == Word::Incompatible) {
        return Err(Refused::Incompatible(verdict));
    }
    Ok((admitted, new))
}

/// Leaves those out under which there are no values in the log: perhaps nothing was ever written under them, or nothing of it is left.
pub(crate) fn retain_written(layouts: &mut Vec<StateLayout>, written: &HashSet<u64>) {
    layouts.retain(|layout| {
        let fingerprint = layout.written_fingerprint();
        fingerprint.is_none_or(|fingerprint| written.contains(&fingerprint))
    });
}

/// The layouts that a log keeps of a topic.
///
/// # Errors
/// Says which of them is damaged.
pub(crate) fn parse(topic: &str, kept: &[KeptLayout]) -> Result<Vec<StateLayout>, String> {
    let read = |kept: &KeptLayout| {
        serde_json::from_str(&kept.text).map_err(|error| {
            format!(
                "topic `{topic}`: the layout {:016x} that is kept with the log can't be read ({error}). Nothing was changed; restore it from a \
                 backup, or use the version of memgen that wrote it",
                kept.fingerprint
            )
        })
    };
    kept.iter().map(read).collect()
}

/// The text of a layout as a log keeps it.
fn text(layout: &StateLayout) -> String {
    serde_json::to_string_pretty(layout).expect("a layout is JSON") + "\n"
}
