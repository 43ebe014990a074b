//! Opening: everything that is there is checked before anything is changed.
//!
//! What lies behind the last good frame of the last journal is a torn tail, the trace of a crash while it was
//! written, and is cut; unless something proves that it had been durable. The proof is a frame
//! behind it that says so, a later journal (a journal is sealed before the next begins), or, at the level
//! that leaves syncing to the system, that the machine has not been restarted since.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use super::{
    Options,
    committer::{Active, Committer, Journals, Queue},
    compaction::Compacted,
    error::{corrupt, io_error},
    frame::Header,
    hook::Step,
    index::{FrameRef, Index, SegmentId, UNPOISONED},
    manifest::{self, Manifest, compacted_numbers, journal_name, journal_sequence},
    segment::{self, Kind, Rest, Scan, Segment, UNFINISHED, sync_folder},
};
use crate::{log::LogError, record::Offset};

/// The file that is locked, and that says under which circumstances the log was last written.
const LOCK: &str = "LOCK";
/// How much of a tail is written again at a time.
const REWRITE_BYTES: usize = 1 << 20;

/// An open log, before its threads run.
pub(super) struct Opened {
    pub(super) manifest: Manifest,
    pub(super) committer: Committer,
    pub(super) compacted: Compacted,
    pub(super) lock: File,
}

pub(super) fn open(folder: &Path, options: &Options) -> Result<Opened, LogError> {
    create_folder(folder).map_err(io_error("make the folder", folder))?;
    let (lock, last_run) = lock(folder)?;
    let names = manifest::names(folder)?;
    let mut journals: Vec<u64> = names
        .iter()
        .filter_map(|(name, _)| journal_sequence(name))
        .collect();
    journals.sort_unstable();
    let manifest = match Manifest::read(folder)? {
        Some(manifest) => manifest,
        None if journals.is_empty() => {
            let manifest = Manifest::new();
            manifest
                .write(folder)
                .map_err(io_error("write the manifest of", folder))?;
            manifest
        }
        None => {
            return Err(corrupt(
                &folder.join(manifest::NAME),
                0,
                "the manifest is missing, but there are journals",
            ));
        }
    };
    journals.retain(|sequence| *sequence >= manifest.first_journal);

    let index = Arc::new(Index::default());
    index.grow(manifest.streams());
    let mut ends = vec![0; manifest.streams() as usize];

    let mut compacted = Compacted::default();
    for (number, name) in manifest.compacted().enumerate() {
        let path = folder.join(name);
        let sequence = manifest.compaction << 16 | number as u64;
        let segment = Arc::new(Segment::open(&path, Kind::Compacted, sequence)?);
        let scan = segment.scan()?;
        refuse_rest(&segment, &scan)?;
        compacted.bytes += segment.length();
        let id = index.add_segment(Arc::clone(&segment));
        compacted.segments.push(id);
        take_in(&index, &mut ends, &segment, id, &scan.frames, false)?;
    }

    let list = Journals::default();
    let mut active = None;
    check_sequence(folder, &manifest, &journals)?;
    for (at, sequence) in journals.iter().enumerate() {
        let path = folder.join(journal_name(*sequence));
        let segment = Arc::new(Segment::open(&path, Kind::Journal, *sequence)?);
        let scan = segment.scan()?;
        let is_last = at + 1 == journals.len();
        if is_last {
            refuse_durable_rest(&segment, &scan, &last_run)?;
        } else {
            refuse_rest(&segment, &scan)?;
        }
        let id = index.add_segment(Arc::clone(&segment));
        take_in(&index, &mut ends, &segment, id, &scan.frames, true)?;
        list.list.lock().expect(UNPOISONED).push((*sequence, id));
        if is_last {
            active = Some((Active::new(id, *sequence, segment), scan));
        }
    }

    // Everything is as it should be: only now is anything changed.
    remove_leftovers(&manifest, &names)?;
    write_lock(&lock, options.relies_on_the_system())
        .map_err(io_error("write", &folder.join(LOCK)))?;
    let (active, scan) = if let Some((active, scan)) = active {
        (active, Some(scan))
    } else {
        let sequence = manifest.first_journal;
        let name = journal_name(sequence);
        let segment = Segment::create(folder, &name, Kind::Journal, sequence)
            .map_err(io_error("make a journal in", folder))?;
        let segment = Arc::new(segment);
        let id = index.add_segment(Arc::clone(&segment));
        list.list.lock().expect(UNPOISONED).push((sequence, id));
        (Active::new(id, sequence, segment), None)
    };
    let mut committer = Committer {
        folder: folder.to_owned(),
        segment_bytes: options.segment_bytes,
        hook: options.hook.clone(),
        index,
        queue: Arc::new(Queue::default()),
        journals: Arc::new(list),
        ends,
        active,
        sync_until: None,
        buffer: Vec::new(),
    };
    if let Some(scan) = scan {
        settle_tail(&mut committer, &scan)?;
    }
    Ok(Opened {
        manifest,
        committer,
        compacted,
        lock,
    })
}

fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Under which circumstances the log was last written.
#[derive(Debug, Default, PartialEq, Eq)]
struct LastRun {
    /// Some records counted once the system had them ([`Sync::Os`](super::Sync)), and the machine has not been restarted since: what was written is there.
    intact: bool,
}

fn lock(folder: &Path) -> Result<(File, LastRun), LogError> {
    let path = folder.join(LOCK);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(LogError::InUse {
                path: folder.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
    }
    let mut text = String::new();
    lock.read_to_string(&mut text)
        .map_err(io_error("read", &path))?;
    let said = [
        "sync os".to_owned(),
        format!("boot {}", boot().unwrap_or_default()),
    ];
    let intact = boot().is_some() && text.lines().map(str::trim_end).eq(said);
    Ok((lock, LastRun { intact }))
}

fn write_lock(lock: &File, relies_on_the_system: bool) -> io::Result<()> {
    let level = if relies_on_the_system { "os" } else { "fsync" };
    // Always as long, and in place: it must not need room on a full disk.
    let text = format!("sync {level:5}\nboot {:36}\n", boot().unwrap_or_default());
    lock.write_all_at(text.as_bytes(), 0)
}

/// What tells one start of the machine from another.
fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned())
}

fn check_sequence(folder: &Path, manifest: &Manifest, journals: &[u64]) -> Result<(), LogError> {
    let fresh = manifest.topics.is_empty() && manifest.compaction == 0;
    if journals.is_empty() && fresh {
        return Ok(());
    }
    let wanted = manifest.first_journal..;
    let mut found = journals.iter().copied();
    for sequence in wanted {
        match found.next() {
            Some(there) if there == sequence => {}
            None if sequence > manifest.first_journal => break,
            _ => {
                let path = folder.join(journal_name(sequence));
                return Err(corrupt(&path, 0, "the journal is missing"));
            }
        }
    }
    Ok(())
}

/// Refuses anything behind the last good frame of a segment that was sealed.
fn refuse_rest(segment: &Segment, scan: &Scan) -> Result<(), LogError> {
    match scan.rest {
        // A crash may come between the sync of a journal's end and that of its length.
        Rest::Nothing | Rest::Zeros => Ok(()),
        Rest::Bad(what) => Err(corrupt(&segment.path, scan.end, what)),
    }
}

/// Refuses what lies behind the last good frame if it had been durable.
fn refuse_durable_rest(segment: &Segment, scan: &Scan, last_run: &LastRun) -> Result<(), LogError> {
    let Rest::Bad(what) = scan.rest else {
        return Ok(());
    };
    let later = segment.search(scan.end)?;
    let proof = later
        .iter()
        .any(|header| header.durable > scan.end || last_run.intact);
    if proof {
        Err(corrupt(&segment.path, scan.end, what))
    } else {
        Ok(())
    }
}

/// Adds a segment's frames to the index, and checks that none is missing.
pub(super) fn take_in(
    index: &Index,
    ends: &mut [Offset],
    segment: &Segment,
    id: SegmentId,
    frames: &[Header],
    contiguous: bool,
) -> Result<(), LogError> {
    let mut of_stream: HashMap<u32, Vec<FrameRef>> = HashMap::new();
    for header in frames {
        let Some(end) = ends.get_mut(header.stream as usize) else {
            let what = "a frame is of a topic that the manifest does not name";
            return Err(corrupt(&segment.path, header.position, what));
        };
        if header.base < *end || (contiguous && header.base != *end) {
            let what = format!("a frame begins at offset {}, not at {end}", header.base);
            return Err(corrupt(&segment.path, header.position, &what));
        }
        *end = header.next();
        if header.body_bytes > 0 {
            of_stream
                .entry(header.stream)
                .or_default()
                .push(FrameRef::new(header, id));
        }
    }
    for (number, end) in ends.iter().enumerate() {
        let number = u32::try_from(number).expect("streams have u32 numbers");
        let stream = index
            .stream(number)
            .expect("the index has every stream of the manifest");
        let mut stream = stream.write().expect(UNPOISONED);
        stream.end = *end;
        stream
            .frames
            .extend(of_stream.remove(&number).unwrap_or_default());
    }
    Ok(())
}

/// Removes what a crash left unfinished, and what a finished compaction replaced.
fn remove_leftovers(
    manifest: &Manifest,
    names: &[(String, std::path::PathBuf)],
) -> Result<(), LogError> {
    let current: Vec<String> = manifest.compacted().collect();
    for (name, path) in names {
        let ours = name.starts_with("journal-")
            || name.starts_with("compacted-")
            || name.starts_with(manifest::NAME);
        let unfinished = ours && name.ends_with(UNFINISHED);
        let replaced = journal_sequence(name).is_some_and(|it| it < manifest.first_journal)
            || (compacted_numbers(name).is_some() && !current.contains(name));
        if unfinished || replaced {
            fs::remove_file(path).map_err(io_error("remove", path))?;
        }
    }
    Ok(())
}

/// Cuts a torn tail, and makes durable for certain what is kept.
fn settle_tail(committer: &mut Committer, scan: &Scan) -> Result<(), LogError> {
    let segment = Arc::clone(&committer.active.segment);
    let path = &segment.path;
    if let Rest::Bad(what) = scan.rest {
        tracing::warn!(
            path = %path.display(),
            position = scan.end,
            bytes = segment.length() - scan.end,
            what,
            "cut off a write that a crash interrupted; it was never acknowledged as durable"
        );
    }
    segment
        .set_length(scan.end)
        .map_err(io_error("cut the tail of", path))?;
    // A sync may have failed before, and the kernel may have forgotten: what it never promised to have
    // stored is written again.
    let mut buffer = vec![0; REWRITE_BYTES];
    let mut position = scan.durable.max(segment::HEADER_BYTES as u64);
    while position < scan.end {
        let left = usize::try_from(scan.end - position).unwrap_or(usize::MAX);
        let part = &mut buffer[..left.min(REWRITE_BYTES)];
        segment
            .file
            .read_exact_at(part, position)
            .map_err(io_error("read", path))?;
        segment
            .file
            .write_all_at(part, position)
            .map_err(io_error("write", path))?;
        position += part.len() as u64;
    }
    committer
        .hook
        .at(Step::Sync)
        .and_then(|()| segment.file.sync_all())
        .map_err(io_error("sync", path))?;
    let active = &mut committer.active;
    active.end = scan.end;
    active.durable = scan.end;
    active.data_end = scan.data_end;
    active.marked = scan.durable;
    active.said = scan.durable;
    // From here on, damage to the tail is told from a tail that was torn.
    if let Err(failure) = committer.mark() {
        match failure {
            super::committer::Failure::Nothing(error) => {
                tracing::warn!(%error, "there is no room to mark the end of the log as durable");
            }
            super::committer::Failure::Unknown(what) => {
                return Err(LogError::Io {
                    what,
                    source: io::Error::other("see before"),
                });
            }
        }
    }
    Ok(())
}
