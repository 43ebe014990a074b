//! The manifest: what the log consists of, as JSON that people can read. It is replaced as a whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::{corrupt, io_error},
    segment::{UNFINISHED, sync_folder},
};
use crate::log::{LogError, Topic};

/// The manifest's name in the log's folder.
pub(super) const NAME: &str = "manifest.json";
/// The version of the manifest, and of everything that it names.
const VERSION: u32 = 1;

/// What the log consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    /// The first journal that counts: what lies in older ones is in the compacted segments.
    pub(super) first_journal: u64,
    /// The number of the last compaction that was finished.
    pub(super) compaction: u64,
    /// How many segments that compaction made.
    pub(super) compacted_segments: u64,
    /// The topics, in the order in which they were declared.
    pub(super) topics: Vec<TopicEntry>,
    /// crc32c of the same manifest with a 0 here, as JSON without blanks: a changed letter in a topic's name would hide
    /// the topic.
    checksum: u32,
}

/// One declared topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicEntry {
    pub(super) name: String,
    pub(super) partitions: u32,
    pub(super) partitioner: String,
    pub(super) format: String,
    /// The number of the first partition's stream; the others follow.
    pub(super) first_stream: u32,
}

impl Manifest {
    /// The manifest of a log in which nothing is declared.
    pub(super) fn new() -> Self {
        Self {
            version: VERSION,
            first_journal: 1,
            compaction: 0,
            compacted_segments: 0,
            topics: Vec::new(),
            checksum: 0,
        }
    }

    /// Reads the manifest in `folder`, if there is one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, LogError> {
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        // The version first: another one may have other fields.
        let version = serde_json::from_slice::<serde_json::Value>(&bytes)
            .ok()
            .and_then(|value| value.get("version").and_then(serde_json::Value::as_u64))
            .ok_or_else(|| corrupt(&path, 0, "the manifest is not the JSON that memgen wrote"))?;
        if version != u64::from(VERSION) {
            return Err(LogError::Corrupt {
                path,
                position: 0,
                what: format!(
                    "the log has version {version}, this build reads version {VERSION}; \
                     open it with the version of memgen that wrote it"
                ),
            });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| {
            corrupt(
                &path,
                0,
                &format!("the manifest can't be understood ({error})"),
            )
        })?;
        if manifest.sum().map_err(io_error("check", &path))? != manifest.checksum {
            return Err(corrupt(
                &path,
                0,
                "the manifest does not match its checksum",
            ));
        }
        let mut streams = Some(0);
        for topic in &manifest.topics {
            if streams != Some(topic.first_stream) {
                return Err(corrupt(
                    &path,
                    0,
                    "the streams in the manifest do not follow each other",
                ));
            }
            streams = topic.first_stream.checked_add(topic.partitions);
        }
        Ok(Some(manifest))
    }

    /// Replaces the manifest in `folder`: after a crash it is the old one or this one.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let unfinished = folder.join(format!("{NAME}{UNFINISHED}"));
        let checksum = self.sum()?;
        let mut bytes = serde_json::to_vec_pretty(&Self {
            checksum,
            ..self.clone()
        })?;
        bytes.push(b'\n');
        let mut file = File::create(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(NAME))?;
        sync_folder(folder)
    }

    fn sum(&self) -> io::Result<u32> {
        Ok(crc32c::crc32c(&serde_json::to_vec(&Self {
            checksum: 0,
            ..self.clone()
        })?))
    }

    /// How many streams the topics have together.
    pub(super) fn streams(&self) -> u32 {
        self.topics.iter().map(|topic| topic.partitions).sum()
    }

    /// The entry of the topic of this name.
    pub(super) fn topic(&self, name: &str) -> Option<&TopicEntry> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// The compacted segments, in order.
    pub(super) fn compacted(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.compacted_segments).map(|number| compacted_name(self.compaction, number))
    }
}

impl TopicEntry {
    /// Refuses a topic that differs from this one.
    pub(super) fn compare(&self, topic: &Topic) -> Result<(), LogError> {
        let kept = Topic {
            name: self.name.clone(),
            partitions: self.partitions,
            partitioner: self.partitioner.clone(),
            format: self.format.clone(),
        };
        match kept.difference(topic) {
            None => Ok(()),
            Some(what) => Err(LogError::Shape {
                topic: topic.name.clone(),
                what,
            }),
        }
    }
}

/// The name of a journal.
pub(super) fn journal_name(sequence: u64) -> String {
    format!("journal-{sequence:010}.log")
}

/// The number in a journal's name.
pub(super) fn journal_sequence(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal-")?.strip_suffix(".log")?;
    digits
        .parse()
        .ok()
        .filter(|sequence| journal_name(*sequence) == name)
}

/// The name of the segment `number` of a compaction.
pub(super) fn compacted_name(compaction: u64, number: u64) -> String {
    format!("compacted-{compaction:010}-{number:04}.log")
}

/// The compaction and number in a compacted segment's name.
pub(super) fn compacted_numbers(name: &str) -> Option<(u64, u64)> {
    let (compaction, number) = name
        .strip_prefix("compacted-")?
        .strip_suffix(".log")?
        .split_once('-')?;
    let numbers = (compaction.parse().ok()?, number.parse().ok()?);
    (compacted_name(numbers.0, numbers.1) == name).then_some(numbers)
}

/// The names in `folder`.
pub(super) fn names(folder: &Path) -> Result<Vec<(String, PathBuf)>, LogError> {
    let list = || -> io::Result<Vec<_>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, entry.path()));
            }
        }
        names.sort();
        Ok(names)
    };
    list().map_err(io_error("list", folder))
}
