//! What is read from outside, or from a disk, put before its decoder with a few things wrong: `cargo run -p memgen-tests --bin fuzz`.
//!
//! | target | what reads it | besides: no panic, and memory in proportion to the input |
//! |---|---|---|
//! | `record` | records and batches of both logs, and the fold | what was read is written as the same bytes |
//! | `log` | the files of an embedded log | all of it that can be read is read again as the same |
//! | `snapshot` | a snapshot, with its entities | what was read, written and read again is the same |
//! | `key` | the text of keys, and paths | one text for each key, another for another; a key is found by its own path; keys are ordered as their partitions' ranges are |
//! | `settings` | `memgen.toml` | the settings, written as a file and read again, are the same |
//! | `message` | what nodes send each other | what was read, written and read again is the same |
//! | `lane` | what travels in a lane between nodes | what was read, written and read again is the same |
//! | `peer` | bytes at the peer listener of a node that runs | it serves others meanwhile |
//! | `document` | `OpenAPI` documents | messages, or a crate that could compile |
//!
//! It is mutational and blind: an input is made of the files in `tests/fuzz/TARGET` by chance that follows from a seed, mostly in a way that gets it past the checksums. A case that was found
//! is one more file there, and so a test (`tests/tests/fuzz.rs`), and more to make others of. Coverage would take a nightly compiler.

mod document;
mod json;
mod key;
mod lane;
mod log;
mod message;
mod mutator;
mod peer;
mod record;
mod settings;
mod snapshot;

use std::{fs, path::PathBuf};

use peak_alloc::PeakAlloc;

pub use self::mutator::Mutator;
use crate::{Random, project::repository};

/// One decoder under attack.
pub trait Target: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The input of a seed: always the same.
    fn input(&self, seed: u64) -> Vec<u8>;

    /// Puts an input before the decoder, and panics if what comes of it is wrong. Whether it could be read.
    fn check(&self, input: &[u8]) -> bool;

    /// The most memory that an input of so many bytes may take meanwhile.
    fn bytes_max(&self, input_bytes: usize) -> usize {
        (256 << 10) + 64 * input_bytes
    }

    /// So many cases are run before anybody is told.
    fn chunk(&self) -> u64 {
        500
    }
}

/// Makes a target.
pub type Prepare = fn() -> Box<dyn Target>;

/// All of them, by name. Each reads its corpus, and starts what it needs.
///
/// ```
/// use memgen_tests::fuzz::{TARGETS, run};
/// let (_, target) = TARGETS.iter().find(|(name, _)| *name == "key").unwrap();
/// let target = target();
/// assert!(run(&*target, b"a/b"));
/// ```
pub const TARGETS: [(&str, Prepare); 9] = [
    ("record", || Box::new(record::Records::new())),
    ("log", || Box::new(log::Files::new())),
    ("snapshot", || Box::new(snapshot::Snapshots::new())),
    ("key", || Box::new(key::Keys::new())),
    ("settings", || Box::new(settings::Settings::new())),
    ("message", || Box::new(message::Messages::new())),
    ("lane", || Box::new(lane::Lane::new())),
    ("peer", || Box::new(peer::Peer::new())),
    ("document", || Box::new(document::Document::new())),
];

/// Runs a case. Whether the input could be read.
///
/// Memory is looked at where [`PeakAlloc`] is the program's allocator.
///
/// # Panics
/// If something is wrong with what comes of it.
pub fn run(target: &dyn Target, input: &[u8]) -> bool {
    let allocator = PeakAlloc;
    let before = allocator.current_usage();
    allocator.reset_peak_usage();
    let was_read = target.check(input);
    let took = allocator.peak_usage().saturating_sub(before);
    let most = target.bytes_max(input.len());
    assert!(
        took <= most,
        "an input of {} bytes took {took} bytes of memory, and may take {most}",
        input.len()
    );
    was_read
}

/// The files of a target's corpus, in the order of their names.
///
/// # Panics
/// If they can't be read.
#[must_use]
pub fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = repository().join("tests/fuzz").join(target);
    let read =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = read.map(|entry| entry.expect("a folder can be read to its end").path());
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    let files = paths.into_iter().map(|path| {
        let bytes = fs::read(&path);
        let bytes = bytes.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, bytes)
    });
    files.collect()
}

/// What the files of a corpus hold.
fn texts(target: &str) -> Vec<Vec<u8>> {
    corpus(target).into_iter().map(|(_, bytes)| bytes).collect()
}

/// A place in something that is this long.
fn below(random: &mut Random, bound: usize) -> usize {
    let bound = u32::try_from(bound).unwrap_or(u32::MAX).max(1);
    random.below(bound) as usize
}
