//! The layouts of all states of a service that its logs may hold: `memgen.layouts`, and what is kept with a log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::StateLayout;

const VERSION: u32 = 1;
const ABOUT: &str = "The layouts of states in the log, the newest first. Written by `memgen check`; it belongs into the repository.";

/// Each topic's layouts, the newest first.
///
/// All that were ever accepted are there, not the last one only: the log has values of each of them until they are written again, and what reads the last layout
/// need not read the one before (a field that went, and came back as something else).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    about: String,
    version: u32,
    pub(crate) topics: BTreeMap<String, Vec<StateLayout>>,
}

/// Only the version, to be read first.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Default for History {
    fn default() -> Self {
        Self {
            about: ABOUT.to_owned(),
            version: VERSION,
            topics: BTreeMap::new(),
        }
    }
}

impl History {
    /// Those of some topics.
    pub(crate) fn of(topics: BTreeMap<String, Vec<StateLayout>>) -> Self {
        Self {
            topics,
            ..Self::default()
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// If it is none that this version of memgen can read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Versioned { version } =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!(
                "it has version {version}, and this memgen reads version {VERSION}: use the one that wrote it, or a newer one"
            ));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The text of a file.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("layouts are JSON") + "\n"
    }

    /// Adds the layout of a topic, as its newest; it may have been there before.
    pub(crate) fn add(&mut self, topic: &str, layout: StateLayout) {
        let layouts = self.topics.entry(topic.to_owned()).or_default();
        layouts.retain(|known| known.fingerprint != layout.fingerprint);
        layouts.insert(0, layout);
    }
}
