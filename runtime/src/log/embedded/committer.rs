//! The one thread that writes: it takes whatever producers have queued, writes it, makes it durable, and
//! resolves the receipts. While it waits for the disk the next group gathers; no timer delays a lone write.

use std::{
    collections::VecDeque,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Sync,
    error::is_full,
    frame::{self, Header, MARK_STREAM},
    hook::{Hook, Step},
    index::{FrameRef, Index, SegmentId, UNPOISONED},
    manifest::journal_name,
    segment::{self, Segment},
};
use crate::{
    log::{AppendError, Offsets},
    record::Offset,
};

/// A group is written once it has this many bytes, whatever else is queued.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// A group is written once it has this many records, so that none waits long for its receipt.
const GROUP_RECORDS_MAX: u64 = 65_536;
/// So much of the memory of a group is kept for the next.
const BUFFER_BYTES_KEPT: usize = 1 << 20;
/// What may be queued, over all producers. Beyond it appends are refused.
const QUEUE_BYTES_MAX: usize = 256 << 20;
/// A group that is no longer than this has zeros written behind it when it makes the file longer: a sync that
/// need not store a new length takes 0.12 instead of 0.17 ms. Beyond it, writing twice costs more than it saves.
const AHEAD_GROUP_BYTES_MAX: usize = 64 << 10;
/// How many zeros.
const AHEAD_BYTES: u64 = 256 << 10;

/// What counts once the system has it ([`Sync::Os`]) is on the disk so long after it was acknowledged, and the time that a sync takes.
const SYNC_WITHIN: Duration = Duration::from_secs(1);

/// One append.
pub(super) struct Job {
    pub(super) stream: u32,
    /// When it counts as written.
    pub(super) sync: Sync,
    /// Frames, complete but for their headers.
    pub(super) bytes: Vec<u8>,
    pub(super) frames: Vec<JobFrame>,
    pub(super) records: u64,
    pub(super) producer: Arc<ProducerState>,
    pub(super) receipt: oneshot::Sender<Result<Offsets, AppendError>>,
}

/// What is known of a frame's header before its place is.
pub(super) struct JobFrame {
    /// Where its header begins in the job's bytes.
    pub(super) at: usize,
    pub(super) body_crc: u32,
    pub(super) body_bytes: u32,
    pub(super) span: u32,
}

/// What the committer remembers of a producer.
#[derive(Debug, Default)]
pub(super) struct ProducerState {
    /// An append of it failed: what it queued behind that must not land.
    pub(super) failed: AtomicBool,
}

/// Where producers hand their appends over.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    filled: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// The committer waits. To wake a thread that doesn't is a call of the system all the same.
    idle: bool,
    /// Why nothing is taken any more.
    refusal: Option<String>,
}

impl Queue {
    /// Queues a job. If it is refused, its receipt is resolved and this is false.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut state = self.state.lock().expect(UNPOISONED);
        let refusal = match &state.refusal {
            Some(refusal) => refusal.clone(),
            None if state.bytes > 0 && state.bytes + job.bytes.len() > QUEUE_BYTES_MAX => {
                format!("{QUEUE_BYTES_MAX} bytes are waiting for the disk already")
            }
            None => {
                state.bytes += job.bytes.len();
                state.jobs.push_back(job);
                let idle = std::mem::take(&mut state.idle);
                drop(state);
                if idle {
                    self.filled.notify_one();
                }
                return true;
            }
        };
        drop(state);
        let _ = job.receipt.send(Err(AppendError::Refused(refusal)));
        false
    }

    /// Refuses everything from now on. What is queued already is still written, unless `drop_queued`.
    pub(super) fn refuse(&self, reason: &str, drop_queued: bool) {
        let mut state = self.state.lock().expect(UNPOISONED);
        state.refusal.get_or_insert_with(|| reason.to_owned());
        let dropped = if drop_queued {
            state.bytes = 0;
            std::mem::take(&mut state.jobs)
        } else {
            VecDeque::new()
        };
        drop(state);
        self.filled.notify_one();
        for job in dropped {
            let _ = job
                .receipt
                .send(Err(AppendError::Refused(reason.to_owned())));
        }
    }

    /// Why nothing is taken any more, if so.
    pub(super) fn refusal(&self) -> Option<String> {
        self.state.lock().expect(UNPOISONED).refusal.clone()
    }

    /// Waits for jobs and takes a group of them, an empty one if none came until `until`; none once everything is refused and the queue is empty.
    fn take(&self, until: Option<Instant>) -> Option<Vec<Job>> {
        let mut state = self.state.lock().expect(UNPOISONED);
        while state.jobs.is_empty() {
            if state.refusal.is_some() {
                return None;
            }
            state.idle = true;
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.filled.wait(state).expect(UNPOISONED),
                Some(left) if left.is_zero() => {
                    state.idle = false;
                    return Some(Vec::new());
                }
                Some(left) => self.filled.wait_timeout(state, left).expect(UNPOISONED).0,
            };
            // On a busy processor, those who are about to append go first. On an idle one this takes no time.
            drop(state);
            std::thread::yield_now();
            state = self.state.lock().expect(UNPOISONED);
        }
        let mut group = Vec::new();
        let (mut bytes, mut records) = (0, 0);
        while let Some(job) = state.jobs.front() {
            if !group.is_empty()
                && (bytes + job.bytes.len() > GROUP_BYTES_MAX
                    || records + job.records > GROUP_RECORDS_MAX)
            {
                break;
            }
            bytes += job.bytes.len();
            records += job.records;
            group.extend(state.jobs.pop_front());
        }
        state.bytes -= bytes;
        Some(group)
    }
}

/// The journal that is being written, and everything that writing needs.
pub(super) struct Committer {
    pub(super) folder: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) hook: Hook,
    pub(super) index: Arc<Index>,
    pub(super) queue: Arc<Queue>,
    pub(super) journals: Arc<Journals>,
    /// The offset that the next record of each stream is given.
    pub(super) ends: Vec<Offset>,
    pub(super) active: Active,
    /// When what is written and acknowledged is to be durable, if it is not yet.
    pub(super) sync_until: Option<Instant>,
    /// Where a group of several appends is put together; kept, since fresh memory costs more than the copy.
    pub(super) buffer: Vec<u8>,
}

/// The journal that is being written.
pub(super) struct Active {
    pub(super) id: SegmentId,
    pub(super) sequence: u64,
    pub(super) segment: Arc<Segment>,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Where the last frame that is no mark ends.
    pub(super) data_end: u64,
    /// Up to where it is known to be durable.
    pub(super) durable: u64,
    /// The highest `durable` that a frame in it carries.
    pub(super) marked: u64,
    /// The same, of frames that may not be durable themselves.
    pub(super) said: u64,
}

/// The journals, in order, and who waits for one to be sealed.
#[derive(Default)]
pub(super) struct Journals {
    pub(super) list: Mutex<Vec<(u64, SegmentId)>>,
}

impl Committer {
    /// Writes until the queue refuses everything and is empty, then seals what was written.
    pub(super) fn run(mut self, sealed: &dyn Fn()) {
        let _guard = Guard(Arc::clone(&self.queue));
        while let Some(group) = self.queue.take(self.sync_until) {
            let committed = self.commit(group, sealed);
            if let Err(stop) = committed.and_then(|()| self.sync_if_due()) {
                tracing::error!(
                    reason = stop,
                    "the log stops: it can't know what is on the disk. Restart to find out"
                );
                self.queue.refuse(&stop, true);
            }
        }
        self.finish();
    }

    /// Writes a group. An error means that nobody knows what is on the disk any more.
    fn commit(&mut self, group: Vec<Job>, sealed: &dyn Fn()) -> Result<(), String> {
        let mut group = Self::without_failed(group);
        if group.is_empty() {
            return Ok(());
        }
        let bytes: usize = group.iter().map(|job| job.bytes.len()).sum();
        let over = self.active.end + bytes as u64 > self.segment_bytes;
        if over && self.active.data_end > segment::HEADER_BYTES as u64 {
            match self.roll() {
                Ok(()) => sealed(),
                Err(Failure::Nothing(error)) => {
                    fail(group, &error);
                    return Ok(());
                }
                Err(Failure::Unknown(reason)) => {
                    settle_unknown(group, &reason);
                    return Err(reason);
                }
            }
        }

        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let single = group.len() == 1;
        let mut frames = Vec::with_capacity(group.len());
        let mut firsts = Vec::with_capacity(group.len());
        let ends_before: Vec<(u32, Offset)> = group
            .iter()
            .map(|job| (job.stream, self.end(job.stream)))
            .collect();
        for job in &mut group {
            let mut base = self.end(job.stream);
            firsts.push(base);
            for frame in &job.frames {
                let header = Header {
                    body_crc: frame.body_crc,
                    body_bytes: frame.body_bytes,
                    stream: job.stream,
                    span: frame.span,
                    base,
                    // With a single append, `buffer` is empty, and so is what lies before it.
                    position: self.active.end + (buffer.len() + frame.at) as u64,
                    durable: self.active.durable,
                };
                job.bytes[frame.at..frame.at + frame::HEADER_BYTES]
                    .copy_from_slice(&header.encode(self.active.segment.salt));
                frames.push(header);
                base = header.next();
            }
            self.ends[job.stream as usize] = base;
            if !single {
                buffer.extend_from_slice(&job.bytes);
            }
        }

        let durably = group.iter().any(|job| job.sync == Sync::Fsync);
        let written = self.write(if single { &group[0].bytes } else { &buffer }, durably);
        buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.buffer = buffer;
        match written {
            Ok(()) => {}
            Err(Failure::Nothing(error)) => {
                for (stream, end) in ends_before.into_iter().rev() {
                    self.ends[stream as usize] = end;
                }
                fail(group, &error);
                return Ok(());
            }
            Err(Failure::Unknown(reason)) => {
                settle_unknown(group, &reason);
                return Err(reason);
            }
        }
        self.active.data_end = self.active.end;
        let mut frames = frames.into_iter();
        let appends: Vec<_> = group
            .into_iter()
            .zip(firsts)
            .map(|(job, first)| {
                let frames: Vec<_> = frames.by_ref().take(job.frames.len()).collect();
                (job, first, frames)
            })
            .collect();
        let (waiting, written): (Vec<_>, Vec<_>) = appends
            .into_iter()
            .partition(|(job, ..)| job.sync == Sync::Fsync);
        if !written.is_empty() {
            self.acknowledge(written);
            self.sync_until
                .get_or_insert_with(|| Instant::now() + SYNC_WITHIN);
        }
        if durably {
            if let Err(failure) = self.make_durable() {
                let reason = failure.to_string();
                settle_unknown(waiting.into_iter().map(|(job, ..)| job).collect(), &reason);
                return Err(reason);
            }
            self.acknowledge(waiting);
        }
        Ok(())
    }

    /// Lets readers see appends, and says where they are.
    fn acknowledge(&self, appends: Vec<(Job, Offset, Vec<Header>)>) {
        let frames: Vec<_> = appends
            .iter()
            .flat_map(|(_, _, frames)| frames.iter().copied())
            .collect();
        self.publish(&frames);
        for (job, first, _) in appends {
            let _ = job.receipt.send(Ok((first..first + job.records).collect()));
        }
    }

    /// Makes durable what was acknowledged a while ago.
    fn sync_if_due(&mut self) -> Result<(), String> {
        match self.sync_until {
            Some(until) if until <= Instant::now() => {
                self.make_durable().map_err(|failure| failure.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Makes everything durable that was written.
    fn make_durable(&mut self) -> Result<(), Failure> {
        self.sync_data()?;
        self.active.marked = self.active.marked.max(self.active.said);
        self.active.durable = self.active.end;
        self.sync_until = None;
        Ok(())
    }

    /// Settles what failed producers had queued behind their failure, and gives back the rest.
    fn without_failed(group: Vec<Job>) -> Vec<Job> {
        let (failed, group): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|job| job.producer.failed.load(Ordering::Acquire));
        for job in failed {
            let reason = "an earlier write of this producer did not fit".to_owned();
            let _ = job.receipt.send(Err(AppendError::Full(reason)));
        }
        group
    }

    fn end(&mut self, stream: u32) -> Offset {
        let stream = stream as usize;
        if self.ends.len() <= stream {
            self.ends.resize(stream + 1, 0);
        }
        self.ends[stream]
    }

    fn publish(&self, frames: &[Header]) {
        for run in frames.chunk_by(|a, b| a.stream == b.stream) {
            let stream = self
                .index
                .stream(run[0].stream)
                .expect("producers are only made for streams that the index has");
            let mut stream = stream.write().expect(UNPOISONED);
            for header in run {
                stream.frames.push(FrameRef::new(header, self.active.id));
                stream.end = header.next();
            }
            stream.grown.notify_waiters();
        }
    }

    /// Writes at the end of the journal. It is made durable next, if somebody waits for that.
    fn write(&mut self, bytes: &[u8], durably: bool) -> Result<(), Failure> {
        let end = self.active.end + bytes.len() as u64;
        if let Err(error) = self.write_bytes(bytes, end, durably) {
            return Err(self.undo(error));
        }
        self.active.said = self.active.durable;
        self.active.end = end;
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8], end: u64, durably: bool) -> std::io::Result<()> {
        self.hook.at(Step::Write)?;
        let segment = &self.active.segment;
        if end <= segment.length() {
            return segment.file.write_all_at(bytes, self.active.end);
        }
        let ahead = AHEAD_BYTES.min(self.segment_bytes.saturating_sub(end));
        if durably && bytes.len() <= AHEAD_GROUP_BYTES_MAX && ahead > 0 {
            let mut padded = bytes.to_vec();
            padded.resize(bytes.len() + usize::try_from(ahead).unwrap_or(0), 0);
            if segment.file.write_all_at(&padded, self.active.end).is_ok() {
                segment.length.store(end + ahead, Ordering::Relaxed);
                return Ok(());
            }
            // The zeros may be what did not fit.
            segment.set_length(self.active.end)?;
        }
        segment.file.write_all_at(bytes, self.active.end)?;
        segment.length.store(end, Ordering::Relaxed);
        Ok(())
    }

    /// After a write that failed: takes back what it left, so that it can't turn up after a crash.
    fn undo(&mut self, error: std::io::Error) -> Failure {
        let undone = self
            .active
            .segment
            .set_length(self.active.end)
            .and_then(|()| self.hook.at(Step::Sync))
            .and_then(|()| self.active.segment.file.sync_all());
        match undone {
            Ok(()) if is_full(&error) => Failure::Nothing(error),
            Ok(()) => Failure::Unknown(format!(
                "can't write to {}: {error}",
                self.active.segment.path.display()
            )),
            Err(undo) => Failure::Unknown(format!(
                "can't write to {} ({error}), nor take the attempt back ({undo})",
                self.active.segment.path.display()
            )),
        }
    }

    fn sync_data(&self) -> Result<(), Failure> {
        self.hook
            .at(Step::Sync)
            .and_then(|()| self.active.segment.file.sync_data())
            .map_err(|error| {
                // A second try would succeed without having written anything: the kernel forgets.
                Failure::Unknown(format!(
                    "can't sync {}: {error}",
                    self.active.segment.path.display()
                ))
            })
    }

    /// Seals the journal and begins the next.
    fn roll(&mut self) -> Result<(), Failure> {
        self.seal()?;
        let sequence = self.active.sequence + 1;
        let segment = self
            .hook
            .at(Step::Write)
            .and_then(|()| {
                Segment::create(
                    &self.folder,
                    &journal_name(sequence),
                    segment::Kind::Journal,
                    sequence,
                )
            })
            .map_err(|error| {
                if is_full(&error) {
                    Failure::Nothing(error)
                } else {
                    Failure::Unknown(format!(
                        "can't make a new journal in {}: {error}",
                        self.folder.display()
                    ))
                }
            })?;
        let segment = Arc::new(segment);
        let id = self.index.add_segment(Arc::clone(&segment));
        self.active = Active::new(id, sequence, segment);
        self.journals
            .list
            .lock()
            .expect(UNPOISONED)
            .push((sequence, id));
        Ok(())
    }

    /// Cuts the zeros off and makes everything durable.
    fn seal(&mut self) -> Result<(), Failure> {
        let active = &mut self.active;
        if active.segment.length() == active.end && active.durable == active.end {
            return Ok(());
        }
        active
            .segment
            .set_length(active.end)
            .and_then(|()| self.hook.at(Step::Sync))
            .and_then(|()| active.segment.file.sync_all())
            .map_err(|error| {
                Failure::Unknown(format!(
                    "can't sync {}: {error}",
                    active.segment.path.display()
                ))
            })?;
        active.durable = active.end;
        self.sync_until = None;
        Ok(())
    }

    /// Leaves the journal so that damage to any of it is told from a torn tail.
    fn finish(&mut self) {
        // A log that stopped must not be marked as durable.
        if self
            .queue
            .refusal()
            .is_some_and(|refusal| refusal != super::CLOSED)
        {
            return;
        }
        if let Err(failure) = self.seal().and_then(|()| self.mark()) {
            tracing::warn!(
                reason = failure.to_string(),
                "the log could not be closed cleanly"
            );
        }
    }

    /// Writes that everything so far is durable, unless a frame says so already.
    pub(super) fn mark(&mut self) -> Result<(), Failure> {
        if self.active.marked >= self.active.data_end {
            return Ok(());
        }
        let header = Header {
            body_crc: 0,
            body_bytes: 0,
            stream: MARK_STREAM,
            span: 0,
            base: 0,
            position: self.active.end,
            durable: self.active.durable,
        };
        let end = header.end();
        let bytes = header.encode(self.active.segment.salt);
        if let Err(error) = self
            .active
            .segment
            .file
            .write_all_at(&bytes, self.active.end)
        {
            return Err(self.undo(error));
        }
        let length = self.active.segment.length().max(end);
        self.active.segment.length.store(length, Ordering::Relaxed);
        self.sync_data()?;
        self.active.marked = header.durable;
        self.active.said = header.durable;
        self.active.durable = end;
        self.active.end = end;
        Ok(())
    }
}

/// Whatever ends the thread, nobody waits for it in vain.
struct Guard(Arc<Queue>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.refuse("the thread that writes is gone", true);
    }
}

impl Active {
    /// A journal that was just made.
    pub(super) fn new(id: SegmentId, sequence: u64, segment: Arc<Segment>) -> Self {
        let end = segment::HEADER_BYTES as u64;
        Self {
            id,
            sequence,
            segment,
            end,
            data_end: end,
            durable: end,
            marked: end,
            said: end,
        }
    }
}

/// Why a group is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There was no room; nothing of it is there, nor will be.
    #[error("{0}")]
    Nothing(std::io::Error),
    /// Nobody knows.
    #[error("{0}")]
    Unknown(String),
}

fn fail(group: Vec<Job>, error: &std::io::Error) {
    for job in &group {
        job.producer.failed.store(true, Ordering::Release);
    }
    tracing::warn!(%error, appends = group.len(), "the log has no room left");
    for job in group {
        let _ = job.receipt.send(Err(AppendError::Full(error.to_string())));
    }
}

fn settle_unknown(group: Vec<Job>, reason: &str) {
    for job in group {
        let _ = job
            .receipt
            .send(Err(AppendError::Unknown(reason.to_owned())));
    }
}
