//! The files of an embedded log, with their checksums set right again.

use std::fs;

use futures_util::FutureExt as _;
use memgen::{
    log::{Log, TopicPartition, embedded::Peek},
    record::{Offset, Record},
};

use super::{Mutator, Target, below, texts};
use crate::{Folder, Random, project::repository};

const WORDS: [&str; 4] = ["MgF1", "memgenlg", "\0", "\0batch"];

/// Bytes before the first frame, and before the records of each.
const FILE_HEADER_BYTES: usize = 64;
const FRAME_HEADER_BYTES: usize = 48;

/// A journal, in a folder with the manifest that belongs to it.
pub(super) struct Files {
    mutator: Mutator,
    folder: Folder,
    partitions: Vec<TopicPartition>,
}

impl Files {
    pub(super) fn new() -> Self {
        let folder = Folder::new();
        let manifest = fs::read(repository().join("tests/format/v1/log/manifest.json"));
        let manifest = manifest.expect("the manifest of the frozen log is there");
        fs::write(folder.path().join("manifest.json"), manifest)
            .expect("the folder can be written to");
        Self {
            mutator: Mutator::new(texts("log"), &WORDS),
            folder,
            partitions: (0..2)
                .map(|number| TopicPartition::new("vertex", number))
                .collect(),
        }
    }

    /// All records that can be read, so many bytes at a time.
    fn read(&self, bytes_max: usize) -> Option<Vec<(Offset, Record)>> {
        let log = Peek::open(self.folder.path()).ok()?;
        let mut all = Vec::new();
        for partition in &self.partitions {
            let now = "what is looked at is there";
            let end = log.end(partition).now_or_never().expect(now).ok()?;
            let mut from = 0;
            while from < end {
                let chunk = log
                    .read(partition, from, bytes_max)
                    .now_or_never()
                    .expect(now)
                    .ok()?;
                assert!(chunk.next > from, "nothing is read at {from} of {end}");
                for (offset, record) in chunk.records {
                    assert!(
                        (from..chunk.next).contains(&offset),
                        "{offset} lies elsewhere"
                    );
                    from = offset + 1;
                    all.push((offset, record));
                }
                from = chunk.next;
            }
        }
        Some(all)
    }
}

impl Target for Files {
    fn name(&self) -> &'static str {
        "log"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::from_seed(seed);
        let random = &mut random;
        if random.below(8) == 0 {
            return self.mutator.input(random);
        }
        let journal = self.mutator.pick(random).to_vec();
        let (header, rest) = journal.split_at(FILE_HEADER_BYTES.min(journal.len()));
        let mut frames = frames(rest);
        for _ in 0..=below(random, 3) {
            let (at, to) = (below(random, frames.len()), below(random, frames.len()));
            match below(random, 8) {
                0 => frames.swap(at, to),
                1 if frames.len() > 1 => drop(frames.remove(at)),
                2 => frames.insert(to, frames[at].clone()),
                _ => self.mutator.change(&mut frames[at], random),
            }
        }
        let mut bytes = header.to_vec();
        if random.below(8) == 0 {
            self.mutator.change(&mut bytes, random);
        }
        for mut frame in frames {
            seal(&mut frame, &bytes);
            bytes.extend(frame);
        }
        if random.below(8) == 0 {
            self.mutator.change(&mut bytes, random);
        }
        bytes
    }

    fn check(&self, input: &[u8]) -> bool {
        let journal = self.folder.path().join("journal-0000000001.log");
        fs::write(journal, input).expect("the folder can be written to");
        let Some(all) = self.read(1 << 20) else {
            return false;
        };
        let in_pieces = self.read(1);
        assert_eq!(
            in_pieces.as_ref(),
            Some(&all),
            "what is read depends on how much is read at a time"
        );
        true
    }

    /// Files are read so much at a time.
    fn bytes_max(&self, input_bytes: usize) -> usize {
        (4 << 20) + 64 * input_bytes
    }
}

/// Frames, as long as they say.
fn frames(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(length) = rest.get(12..16) {
        let length = u32::from_le_bytes(length.try_into().expect("they are four")) as usize;
        let Some((frame, behind)) = rest.split_at_checked(FRAME_HEADER_BYTES + length) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames.push(rest.to_vec());
    frames
}

/// Sets right what follows from the rest, and from what lies `before` the frame. Drawn in ARCHITECTURE.md.
fn seal(frame: &mut [u8], before: &[u8]) {
    let Some((header, body)) = frame.split_at_mut_checked(FRAME_HEADER_BYTES) else {
        return;
    };
    let length = u32::try_from(body.len()).expect("inputs are short");
    header[0..4].copy_from_slice(b"MgF1");
    header[8..12].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    header[12..16].copy_from_slice(&length.to_le_bytes());
    header[32..40].copy_from_slice(&(before.len() as u64).to_le_bytes());
    let salt = before.get(16..24).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(salt), &header[8..]);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise only the checksums would be under attack.
    #[test]
    fn what_is_sealed_is_read() {
        let files = Files::new();
        let frozen =
            fs::read(repository().join("tests/format/v1/log/journal-0000000001.log")).unwrap();
        let (header, rest) = frozen.split_at(FILE_HEADER_BYTES);
        let mut again = header.to_vec();
        for mut frame in frames(rest) {
            seal(&mut frame, &again);
            again.extend(frame);
        }
        assert!(again == frozen, "the seal is not the log's own");
        let read = (0..1000).filter(|seed| files.check(&files.input(*seed)));
        let read = read.count();
        assert!(read > 100, "only {read} of 1000 inputs could be read");
    }
}
