//! A look at a log that another process may have open: nothing is locked, and nothing is changed.

use std::{collections::HashSet, path::Path, sync::Arc};

use super::{
    index::Index,
    manifest::{self, Manifest, journal_name, journal_sequence},
    recovery::take_in,
    segment::{Kind, Segment},
};
use crate::{
    log::{LogError, written as values},
    record::Offset,
};

/// So often it is looked again if a compaction replaces meanwhile what is looked at.
const ATTEMPTS: u32 = 5;

/// The fingerprints of the layouts under which there are values in a topic. None if there is no such topic, or no log.
pub(super) fn written(folder: &Path, topic: &str) -> Result<HashSet<u64>, LogError> {
    let mut attempts = 1..ATTEMPTS;
    loop {
        match attempt(folder, topic) {
            Err(_) if attempts.next().is_some() => {}
            result => return result,
        }
    }
}

fn attempt(folder: &Path, topic: &str) -> Result<HashSet<u64>, LogError> {
    let mut fingerprints = HashSet::new();
    let Some(manifest) = Manifest::read(folder)? else {
        return Ok(fingerprints);
    };
    let Some(entry) = manifest.topic(topic) else {
        return Ok(fingerprints);
    };
    let index = index(folder, &manifest)?;
    for stream in (entry.first_stream..).take(entry.partitions as usize) {
        let stream = index
            .stream(stream)
            .expect("the index has every stream of the manifest");
        let mut from: Offset = 0;
        loop {
            let chunk = index.read(&stream, from, values::CHUNK_BYTES)?;
            if chunk.next == from {
                break;
            }
            values::add(&chunk, &mut fingerprints);
            from = chunk.next;
        }
    }
    Ok(fingerprints)
}

/// Where the frames are. What another process writes just now is not there yet.
fn index(folder: &Path, manifest: &Manifest) -> Result<Index, LogError> {
    let mut journals: Vec<u64> = manifest::names(folder)?
        .iter()
        .filter_map(|(name, _)| journal_sequence(name))
        .filter(|sequence| *sequence >= manifest.first_journal)
        .collect();
    journals.sort_unstable();
    let index = Index::default();
    index.grow(manifest.streams());
    let mut ends = vec![0; manifest.streams() as usize];
    let compacted = manifest
        .compacted()
        .zip(0..)
        .map(|(name, number): (_, u64)| {
            let sequence = manifest.compaction << 16 | number;
            (name, Kind::Compacted, sequence)
        });
    let journals = journals
        .into_iter()
        .map(|sequence| (journal_name(sequence), Kind::Journal, sequence));
    for (name, kind, sequence) in compacted.chain(journals) {
        let segment = Arc::new(Segment::open(&folder.join(name), kind, sequence)?);
        let scan = segment.scan()?;
        let id = index.add_segment(Arc::clone(&segment));
        let contiguous = kind == Kind::Journal;
        take_in(&index, &mut ends, &segment, id, &scan.frames, contiguous)?;
    }
    Ok(index)
}
