//! A partition's memory and its fold, following the log: log -> fold -> apply.
//!
//! Standby and start-up replay move forward by [`Replica::catch_up`], the owner by `step_own`; both by the one fold, so they agree byte for byte.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use crate::{
    clock::Moment,
    fold::{Effect, Fold, Horizon, Seen},
    key::parse_key,
    log::{Chunk, Log, LogError, TopicPartition},
    memory::{Change, Changes, Memory},
    migration::Readers,
    record::{Kind, Offset, Record},
    snapshot::{Cut, Keeper},
    state::State,
    tx::Prepared,
};

/// How much of the log is read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// So many changes are gathered before they are applied, or so many bytes of values; a chunk more at most.
const GATHERED_MAX: usize = 1 << 16;
const GATHERED_BYTES_MAX: usize = 16 << 20;

/// Why a partition can't follow its log any further. It halts there; nothing is skipped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A record that counts is not one of this state.
    #[error(
        "{partition} halts at offset {offset}: {what}. Nothing was skipped or changed; mend the record or the \
         state's layout, then start again"
    )]
    Poison {
        /// The partition.
        partition: TopicPartition,
        /// The record's offset.
        offset: Offset,
        /// What can't be read, and why.
        what: String,
    },
    /// The memory is from so long ago that deletions may be gone from the log (rule 11). It is to be made anew.
    #[error("{partition} can't be followed from offset {from}: {why}")]
    TooOld {
        /// The partition.
        partition: TopicPartition,
        /// Where the log was to be read next.
        from: Offset,
        /// How old it is.
        why: String,
    },
    /// The snapshot that the memory was made from can't be decoded. It is to be made anew, from the log.
    #[error("the snapshot that {partition} was loaded from can't be read: {why}")]
    Spoilt {
        /// The partition.
        partition: TopicPartition,
        /// What can't be read of it, and why.
        why: String,
    },
    /// What an owner wrote, and what only the partition's leader had acknowledged, was lost with it (see [`Ack::Leader`](crate::log::Ack)). The memory has it, and is
    /// to be made anew.
    #[error(
        "{partition} has lost {lost} acknowledged records, from offset {from} on: the broker that led it went before others had them, and `ack` of its state \
         is `leader`"
    )]
    LostTail {
        /// The partition.
        partition: TopicPartition,
        /// The first offset that was lost.
        from: Offset,
        /// How many.
        lost: u64,
    },
    /// The log itself can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ReplayError {
    /// Something panicked while the partition was read.
    pub(crate) fn panicked(partition: &TopicPartition, panic: &impl std::fmt::Display) -> Self {
        Self::Poison {
            partition: partition.clone(),
            offset: 0,
            what: format!("the replay panicked: {panic}"),
        }
    }
}

/// The state of one partition as of some offset of its log.
pub struct Replica<S: State> {
    pub(crate) partition: TopicPartition,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) fold: Fold,
    pub(crate) memory: Arc<Memory<S>>,
    pub(crate) readers: Arc<Readers<S>>,
    /// Whether the log may lose its tail.
    may_lose_its_tail: bool,
    /// What was taken in as an owner and was not read back yet, the last records before `fold.next()`: the log may lose it.
    tail: VecDeque<Seen>,
    kept: Option<Kept>,
    /// What the fold has taken in and memory has not yet.
    gathered: Gathered<S>,
}

/// What keeps a replica from getting too old, and snapshots of it.
struct Kept {
    keeper: Arc<Keeper>,
    /// When it was last caught up: it shows all that was acknowledged until then.
    current: Moment,
    /// Before this offset it shows what never was at one time: it was made from a snapshot.
    until: Offset,
}

impl<S: State> Replica<S> {
    /// An empty memory at the start of the log.
    pub(crate) fn new(
        log: Arc<dyn Log>,
        partition: TopicPartition,
        horizon: Horizon,
        readers: Arc<Readers<S>>,
    ) -> Self {
        let may_lose_its_tail = log.ack(&partition.topic).may_lose_its_tail();
        Self {
            may_lose_its_tail,
            tail: VecDeque::new(),
            partition,
            log,
            fold: Fold::new(horizon),
            memory: Arc::new(Memory::default()),
            readers,
            kept: None,
            gathered: Gathered::default(),
        }
    }

    /// Holds to rule 11 from now on, and lets snapshots be made. It was caught up at `current`; before the log was read up to `until`, it is not whole.
    pub(crate) fn keep(&mut self, keeper: Arc<Keeper>, current: Moment, until: Offset) {
        self.memory.recent().begin_at(until);
        self.kept = Some(Kept {
            keeper,
            current,
            until,
        });
    }

    /// The time, as far as it matters here.
    pub(crate) fn moment(&self) -> Option<Moment> {
        let kept = self.kept.as_ref()?;
        Some(kept.keeper.common.clock.now())
    }

    /// It shows all that was acknowledged up to `moment`.
    pub(crate) fn is_current_as_of(&mut self, moment: Option<Moment>) {
        if let (Some(kept), Some(moment)) = (&mut self.kept, moment) {
            kept.current = moment;
        }
    }

    /// Makes a snapshot in the background if one is due. To be called between two steps.
    pub(crate) fn snapshot_if_due(&self) {
        if let Some(kept) = &self.kept
            && kept.keeper.is_due(self.fold.next(), self.memory.len())
        {
            self.snapshot(kept);
        }
    }

    /// Makes a last snapshot in the background, if the tail has become long: this copy is given up.
    pub(crate) fn last_snapshot(&self) {
        if let Some(kept) = &self.kept
            && kept.keeper.is_due_at_the_end(self.fold.next())
        {
            self.snapshot(kept);
        }
    }

    fn snapshot(&self, kept: &Kept) {
        if self.fold.next() < kept.until {
            return;
        }
        // Nor what may be lost.
        if !self.tail.is_empty() {
            return;
        }
        kept.keeper.make(Cut {
            fold: self.fold.clone(),
            memory: self.memory.clone(),
            current: kept.current,
        });
    }

    /// Rule 11: what was read just now continues what is in memory, unless that is too old. Asked after the read, which may have taken long.
    fn refuse_if_too_old(&self, from: Offset) -> Result<(), ReplayError> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        match kept.keeper.too_old(&kept.current) {
            None => Ok(()),
            Some(why) => Err(ReplayError::TooOld {
                partition: self.partition.clone(),
                from,
                why,
            }),
        }
    }

    /// A log whose end lies before what a snapshot of it shows has lost something.
    fn refuse_if_not_whole(&self) -> Result<(), ReplayError> {
        let end = self.fold.next();
        match &self.kept {
            Some(Kept { until, .. }) if end < *until => Err(LogError::OutOfRange {
                partition: self.partition.clone(),
                from: *until,
                start: 0,
                end,
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// Whether what this replica takes in as an owner may be lost.
    pub(crate) fn may_lose_its_tail(&self) -> bool {
        self.may_lose_its_tail
    }

    /// How many records may be lost.
    pub(crate) fn tail(&self) -> usize {
        self.tail.len()
    }

    /// Where the log is to be read next.
    pub(crate) fn reads_from(&self) -> Offset {
        self.tail
            .front()
            .map_or(self.fold.next(), |first| first.offset)
    }

    /// The records from `from` on are lost.
    pub(crate) fn lost_its_tail(&self, from: Offset) -> ReplayError {
        ReplayError::LostTail {
            partition: self.partition.clone(),
            from,
            lost: self.fold.next().saturating_sub(from),
        }
    }

    /// Reads back what was taken in as an owner, as far as it is there for good by now.
    ///
    /// # Errors
    /// [`ReplayError::LostTail`] if something else is there.
    pub(crate) async fn read_back(&mut self) -> Result<(), ReplayError> {
        while let Some(first) = self.tail.front() {
            let from = first.offset;
            let chunk = self.log.read(&self.partition, from, CHUNK_BYTES).await?;
            if chunk.next == from {
                break;
            }
            self.confirm(&chunk)?;
        }
        Ok(())
    }

    /// What was read is what was taken in. Gives how many of its records are from before `fold.next()`.
    fn confirm(&mut self, chunk: &Chunk) -> Result<usize, ReplayError> {
        let mut known = 0;
        for (offset, record) in &chunk.records {
            let Some(taken_in) = self.tail.pop_front() else {
                return Ok(known);
            };
            // No two records of one ballot have the same place.
            if taken_in != Seen::of(*offset, record) || record.place != Some(*offset) {
                return Err(self.lost_its_tail(taken_in.offset));
            }
            known += 1;
        }
        match self.tail.front() {
            Some(first) if first.offset < chunk.next => Err(self.lost_its_tail(first.offset)),
            _ => Ok(known),
        }
    }

    /// If compaction was between the last record and this one, feeds don't know what was there.
    fn note_hole(&self, next: Offset) {
        if next > self.fold.next() {
            self.memory.recent().begin_at(next);
        }
    }

    /// The memory that follows.
    #[must_use]
    pub fn memory(&self) -> &Arc<Memory<S>> {
        &self.memory
    }

    /// The fold that follows.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Takes the next record into the fold, and gathers what it changes.
    fn fold_in(&mut self, offset: Offset, record: &Record) -> Result<(), ReplayError> {
        let (partition, readers) = (&self.partition, &self.readers);
        let poison = |what: String| ReplayError::Poison {
            partition: partition.clone(),
            offset,
            what,
        };
        // Compaction has taken the batch that it repeats.
        let is_left_over = record.kind == Kind::FollowUp && !self.fold.torn().contains(&record.key);
        let effect = self.fold.step(offset, record).map_err(poison)?;
        match effect {
            Effect::Nothing => {}
            Effect::One(key, value) => {
                if is_left_over {
                    // It looks like a change here, and was shown with the batch elsewhere.
                    self.memory.recent().begin_at(offset + 1);
                }
                self.gathered.changes.push(
                    Change::decode(readers, offset, record.schema, &key, value.as_ref())
                        .map_err(poison)?,
                );
            }
            Effect::Batch(batch) => {
                let batch = batch
                    .iter()
                    .map(|change| {
                        let value = change.value.as_ref();
                        Change::decode(readers, offset, record.schema, &change.key, value)
                    })
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(poison)?;
                self.gathered.changes.extend(batch);
            }
        }
        self.gathered.bytes += record.value.as_ref().map_or(0, Bytes::len);
        self.gathered.applied = offset + 1;
        Ok(())
    }

    /// Takes in the next record, which this owner wrote and so has decoded already.
    pub(crate) fn step_own(
        &mut self,
        offset: Offset,
        record: &Record,
        changes: Changes<S>,
    ) -> Result<(), ReplayError> {
        let partition = &self.partition;
        self.fold
            .step(offset, record)
            .map_err(|what| ReplayError::Poison {
                partition: partition.clone(),
                offset,
                what,
            })?;
        if self.may_lose_its_tail {
            self.tail.extend(self.fold.last());
            if let Some(kept) = &self.kept {
                kept.keeper.spoil();
            }
        }
        let applied = match changes {
            Changes::None => self.memory.apply([], offset + 1),
            Changes::One(change) => self.memory.apply([change], offset + 1),
            Changes::Many(changes) => self.memory.apply(changes, offset + 1),
        };
        applied.map_err(|why| self.spoilt(why))?;
        self.hold();
        Ok(())
    }

    /// Lets readers wait for the keys that prepared transactions write, and for those of none that are done: memory shows what they wrote.
    fn hold(&mut self) {
        for id in self.fold.pending_mut().take_news() {
            let prepared = self.fold.pending().prepared().get(&id);
            let holds = prepared.map(|prepared| (keys::<S>(prepared), prepared.home.clone()));
            self.memory.held().set(id, holds);
        }
    }

    /// Reads the log from where this replica is to its end, or to `until` (exclusive). `seen` is told of each record
    /// before it is taken in, and whether it counts.
    ///
    /// It may be dropped in the middle. Memory lags behind the fold then, until [`apply_gathered`](Self::apply_gathered) or the next step.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn catch_up(
        &mut self,
        until: Option<Offset>,
        mut seen: impl FnMut(Offset, &Record, bool),
    ) -> Result<(), ReplayError> {
        let outcome = self.gather(until, &mut seen).await;
        // Whatever it ended with, what came before it happened.
        let applied = self.apply_gathered();
        self.gathered = Gathered::default();
        outcome.and(applied)
    }

    /// Applies by key, and what has the same key in order. So what is searched for in turn lies side by side in the
    /// map, whose upper levels stay in the processor's cache: replays spend most of their time there.
    ///
    /// # Errors
    /// If what came of a snapshot can't be decoded.
    pub(crate) fn apply_gathered(&mut self) -> Result<(), ReplayError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let changes = &mut gathered.changes;
        changes.sort_by(|one, other| one.key.cmp(&other.key));
        let applied = gathered.applied.max(self.memory.applied());
        let outcome = self.memory.apply(changes.drain(..), applied);
        gathered.bytes = 0;
        self.gathered = gathered;
        self.hold();
        outcome.map_err(|why| self.spoilt(why))
    }

    fn spoilt(&self, why: String) -> ReplayError {
        let partition = self.partition.clone();
        ReplayError::Spoilt { partition, why }
    }

    /// Ends when what came of a snapshot can't be decoded, and says why.
    pub(crate) async fn until_spoilt(&self) -> ReplayError {
        self.spoilt(self.memory.spoilt().wait().await.clone())
    }

    async fn gather(
        &mut self,
        until: Option<Offset>,
        seen: &mut impl FnMut(Offset, &Record, bool),
    ) -> Result<(), ReplayError> {
        let mut from = self.reads_from();
        while until.is_none_or(|until| from < until) {
            let asked = self.moment();
            let chunk = self.log.read(&self.partition, from, CHUNK_BYTES).await?;
            self.refuse_if_too_old(from)?;
            if chunk.next == from {
                if until.is_none() {
                    self.refuse_if_not_whole()?;
                    self.is_current_as_of(asked);
                    break;
                }
                // What was acknowledged is there, but a log of several brokers may not show it yet.
                self.log.grown(&self.partition, from).await?;
                continue;
            }
            let known = self.confirm(&chunk)?;
            for (offset, record) in &chunk.records[known..] {
                if until.is_some_and(|until| *offset >= until) {
                    return Ok(());
                }
                self.note_hole(*offset);
                seen(*offset, record, self.fold.counts(*offset, record));
                self.fold_in(*offset, record)?;
            }
            from = chunk.next;
            self.note_hole(from);
            self.fold.skip_to(from);
            self.gathered.applied = self.gathered.applied.max(from);
            if self.gathered.is_enough() {
                self.apply_gathered()?;
            }
        }
        Ok(())
    }
}

/// The keys that a prepared transaction writes.
fn keys<S: State>(prepared: &Prepared) -> Vec<S::Key> {
    let keys = prepared.writes.iter().map(|write| &write.key);
    // They were read when it was prepared.
    keys.filter_map(|key| parse_key::<S>(key).ok()).collect()
}

/// What was read and not applied yet.
struct Gathered<S: State> {
    changes: Vec<Change<S>>,
    /// The bytes of their values.
    bytes: usize,
    /// The offset after the last record that was read.
    applied: Offset,
}

impl<S: State> Default for Gathered<S> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            bytes: 0,
            applied: 0,
        }
    }
}

impl<S: State> Gathered<S> {
    fn is_enough(&self) -> bool {
        self.changes.len() >= GATHERED_MAX || self.bytes >= GATHERED_BYTES_MAX
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
