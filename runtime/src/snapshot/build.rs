//! Which build a snapshot is of, where that matters: a value that a migration has read is kept as what that made of it, and another build may have another body for it.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    sync::OnceLock,
};

use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::state::State;

/// The program that runs, whatever has become of its file.
const PROGRAM: &str = "/proc/self/exe";
/// So much of it is read at once.
const PIECE_BYTES: usize = 1 << 20;

/// The build that values of a state have to be of; none where any does.
pub(crate) fn required<S: State>() -> Option<u64> {
    static PROGRAM: OnceLock<u64> = OnceLock::new();
    let migrates = !S::migrations().is_empty();
    // One that can't be read is like no other.
    let hash = || hash_of_program().unwrap_or_else(|_| Uuid::new_v4().as_u64_pair().0);
    migrates.then(|| *PROGRAM.get_or_init(hash))
}

fn hash_of_program() -> io::Result<u64> {
    let mut program = BufReader::with_capacity(PIECE_BYTES, File::open(PROGRAM)?);
    let mut hash = Xxh3::new();
    loop {
        let piece = program.fill_buf()?;
        if piece.is_empty() {
            return Ok(hash.digest());
        }
        hash.update(piece);
        let bytes = piece.len();
        program.consume(bytes);
    }
}
