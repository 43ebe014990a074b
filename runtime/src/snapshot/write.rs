//! Writing: a cut of a partition -> the bytes of a snapshot.

use std::{io, io::Write, ops::Bound, ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use super::format::{End, Head, Kind, Sections};
use crate::{
    clock::Moment,
    fold::Fold,
    key::key_text,
    memory::{Memory, Written},
    state::State,
};

/// What a snapshot is made of: the fold as it was, and the memory as it goes on.
pub(crate) struct Cut<S: State> {
    pub(crate) fold: Fold,
    pub(crate) memory: Arc<Memory<S>>,
    /// When the partition was last caught up.
    pub(crate) current: Moment,
}

/// Writes a snapshot. Memory is walked in pieces, while records go on being applied; `between` is awaited after each piece, and says whether to go on.
pub(super) async fn write<S, W, B>(
    cut: &Cut<S>,
    head: &Head,
    out: W,
    mut between: impl FnMut() -> B,
) -> io::Result<(W, u64)>
where
    S: State,
    W: Write,
    B: Future<Output = io::Result<()>>,
{
    let mut sections = Sections::begin(out, head)?;
    let mut end = End::default();
    let mut key = |kind, key: &[u8]| {
        sections.item(kind, |buffer| {
            put_length(buffer, key);
            buffer.extend_from_slice(key);
        })
    };
    for dirty in cut.fold.dirty() {
        key(Kind::Dirty, dirty)?;
        end.dirty += 1;
    }
    for torn in cut.fold.kept_torn() {
        key(Kind::Torn, torn)?;
        end.torn += 1;
    }
    let pending = cut.fold.pending();
    for key in pending.keys() {
        let Some((value, schema)) = pending.value(&key) else {
            continue;
        };
        sections.item(Kind::Pending, |buffer| {
            put_length(buffer, &key);
            put_length(buffer, &value);
            buffer.extend_from_slice(&schema.to_le_bytes());
            buffer.extend_from_slice(&key);
            buffer.extend_from_slice(&value);
        })?;
        end.pending += 1;
    }
    for (id, answer) in cut.fold.answers() {
        sections.item(Kind::Answers, |buffer| {
            put_length(buffer, id);
            put_length(buffer, &answer.reply);
            buffer.extend_from_slice(&answer.fingerprint.to_le_bytes());
            buffer.extend_from_slice(&answer.offset.to_le_bytes());
            buffer.extend_from_slice(&answer.timestamp_ms.to_le_bytes());
            buffer.extend_from_slice(id);
            buffer.extend_from_slice(&answer.reply);
        })?;
        end.answers += 1;
    }
    let mut from: Option<S::Key> = None;
    loop {
        sections.close()?;
        between().await?;
        let mut last = None;
        let mut outcome = Ok(());
        let bound = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        cut.memory.walk(bound, |key, stored| {
            outcome = entity(&mut sections, key, &stored);
            end.entities += 1;
            end.digest = end.digest.wrapping_add(stored.etag);
            if sections.is_full() || outcome.is_err() {
                last = Some(key.clone());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        outcome?;
        match last {
            Some(last) => from = Some(last),
            None => break,
        }
    }
    let mut outcome = Ok(());
    cut.memory.walk_written(|key, written| {
        outcome = as_written::<S, W>(&mut sections, key, written);
        end.written += 1;
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    outcome?;
    end.until = cut.memory.applying();
    sections.end(&end)
}

fn entity<S: State, W: Write>(
    sections: &mut Sections<W>,
    key: &S::Key,
    stored: &crate::memory::Stored<S>,
) -> io::Result<()> {
    let key = key_text::<S>(key);
    let value = Bytes::from(serde_json::to_vec(&stored.state)?);
    sections.item(Kind::Entities, |buffer| {
        put_length(buffer, key.as_bytes());
        put_length(buffer, &value);
        buffer.extend_from_slice(&stored.etag.to_le_bytes());
        buffer.extend_from_slice(&stored.bytes().to_le_bytes());
        buffer.extend_from_slice(key.as_bytes());
        buffer.extend_from_slice(&value);
    })
}

fn as_written<S: State, W: Write>(
    sections: &mut Sections<W>,
    key: &S::Key,
    written: &Written,
) -> io::Result<()> {
    let key = key_text::<S>(key);
    sections.item(Kind::Written, |buffer| {
        put_length(buffer, key.as_bytes());
        put_length(buffer, &written.value);
        buffer.extend_from_slice(&written.schema.to_le_bytes());
        buffer.extend_from_slice(key.as_bytes());
        buffer.extend_from_slice(&written.value);
    })
}

/// Whatever is too long for it makes the section too long, which is refused.
fn put_length(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
}
