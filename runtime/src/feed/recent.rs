//! The recent changes of one partition, from which feeds are made.
//!
//! They are kept wherever the partition is followed, whether somebody watches or not, so that whoever comes from another node or from before a restart goes on where
//! it was. A feed has a mark in them and reads on from there when it is woken: it queues nothing, so a slow one costs nothing but its place. What is too much goes,
//! the oldest first; a feed whose mark lies before that has lost its thread, and is told so.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::mark::Mark;
use crate::{memory::Stored, record::Offset, state::State};

/// So much of each entry counts for the bytes that are kept, besides its value.
const ENTRY_BYTES: usize = 128;

/// How many changes of a partition are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub(crate) changes_max: usize,
    pub(crate) bytes_max: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            changes_max: 10_000,
            bytes_max: 8 << 20,
        }
    }
}

/// A change as memory has gone through it.
pub(crate) struct Recorded<S: State> {
    pub(crate) key: S::Key,
    /// None if it was deleted.
    pub(crate) stored: Option<Arc<Stored<S>>>,
    /// Where a feed is that has shown it.
    pub(crate) at: Mark,
    /// It as an event's data, once somebody has asked for it.
    pub(super) json: OnceLock<Bytes>,
}

/// What a record changed, for [`Recent::push`].
pub(crate) type News<S> = (Offset, <S as State>::Key, Option<Arc<Stored<S>>>);

/// Why there is nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// What follows the mark is not kept any more.
    Lost,
    /// The partition is not followed here any more.
    Closed,
}

/// Changes, and the mark behind them.
type Read<S> = Result<(Vec<Arc<Recorded<S>>>, Mark), Unread>;

/// The recent changes of one partition.
pub(crate) struct Recent<S: State> {
    inner: Mutex<Inner<S>>,
    changed: Notify,
}

struct Inner<S: State> {
    history: History,
    changes: VecDeque<Arc<Recorded<S>>>,
    /// The number of the first of them, counting from the first that there ever was.
    first: u64,
    bytes: usize,
    /// All that came after this is there.
    start: Mark,
    /// Where that begins once more was applied.
    begin: Mark,
    /// Up to where the log was applied.
    end: Mark,
    closed: bool,
    watched: BTreeMap<S::Key, Watched>,
}

/// A key that somebody watches.
struct Watched {
    watchers: usize,
    changed: Arc<Notify>,
    /// The numbers of its changes since it is watched.
    numbers: VecDeque<u64>,
    /// Where the last of its changes was that went.
    lost: Mark,
}

impl<S: State> fmt::Debug for Recent<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

impl<S: State> Default for Recent<S> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                history: History::default(),
                changes: VecDeque::new(),
                first: 0,
                bytes: 0,
                start: Mark::default(),
                begin: Mark::default(),
                end: Mark::default(),
                closed: false,
                watched: BTreeMap::new(),
            }),
            changed: Notify::new(),
        }
    }
}

impl<S: State> Recent<S> {
    fn inner(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps no more than this.
    pub(crate) fn bound(&self, history: History) {
        let mut inner = self.inner();
        inner.history = history;
        inner.trim();
    }

    /// Nothing is known of what records before `offset` changed, since compaction was there or memory is from a snapshot. It holds once what follows was applied.
    pub(crate) fn begin_at(&self, offset: Offset) {
        let mut inner = self.inner();
        inner.begin = inner.begin.max(Mark::before(offset));
    }

    /// Adds what was applied to memory up to `next`, and wakes those who watch. What changed nothing is not among it.
    pub(crate) fn push(&self, mut news: Vec<News<S>>, next: Offset) {
        // Memory may have applied by key. Within a record the order is that of the keys, at every node.
        news.sort_by(|(a, one, _), (b, other, _)| a.cmp(b).then_with(|| one.cmp(other)));
        let mut news = news.into_iter().peekable();
        let any = news.peek().is_some();
        let mut inner = self.inner();
        inner.forget_before_begin();
        let mut shown = 0;
        while let Some((offset, key, stored)) = news.next() {
            let more = news.peek().is_some_and(|(next, _, _)| *next == offset);
            shown += 1;
            let at = if more {
                Mark {
                    next: offset,
                    shown,
                }
            } else {
                shown = 0;
                Mark::before(offset + 1)
            };
            if at > inner.start {
                inner.add(Recorded {
                    key,
                    stored,
                    at,
                    json: OnceLock::new(),
                });
            }
        }
        inner.end = inner.end.max(Mark::before(next));
        inner.trim();
        drop(inner);
        if any {
            self.changed.notify_waiters();
        }
    }

    /// The partition is not followed here any more: feeds have to go on elsewhere.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        for watched in inner.watched.values() {
            watched.changed.notify_waiters();
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Up to where the log was applied.
    pub(crate) fn end(&self) -> Mark {
        self.inner().end
    }

    /// Whether it is known that the partition is not followed here any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner().closed
    }

    /// Is notified of each change, and of the end.
    pub(crate) fn changed(&self) -> &Notify {
        &self.changed
    }

    /// The next changes after `mark`, at most so many. Once there are no more, the mark is the end.
    pub(crate) fn after(&self, mark: Mark, most: usize) -> Read<S> {
        self.inner().after(mark, most)
    }

    /// Begins to watch a key if all changes up to `mark` were seen, and those are all that there are.
    pub(super) fn watch(&self, key: &S::Key, mark: Mark) -> Option<Arc<Notify>> {
        let mut inner = self.inner();
        if mark < inner.end {
            return None;
        }
        let watched = inner.watched.entry(key.clone());
        let watched = watched.or_insert_with(|| Watched {
            watchers: 0,
            changed: Arc::default(),
            numbers: VecDeque::new(),
            lost: Mark::default(),
        });
        watched.watchers += 1;
        Some(watched.changed.clone())
    }

    /// Watches it no more.
    pub(super) fn unwatch(&self, key: &S::Key) {
        let mut inner = self.inner();
        if let Some(watched) = inner.watched.get_mut(key) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                inner.watched.remove(key);
            }
        }
    }

    /// The next changes of a watched key after `mark`, at most so many. Once there are no more, the mark is the end.
    pub(super) fn of_watched(&self, key: &S::Key, mark: Mark, most: usize) -> Read<S> {
        let inner = self.inner();
        if inner.closed {
            return Err(Unread::Closed);
        }
        let Some(watched) = inner.watched.get(key) else {
            return Ok((Vec::new(), mark));
        };
        if mark < watched.lost {
            return Err(Unread::Lost);
        }
        let change = |number: u64| {
            let index = usize::try_from(number - inner.first).ok()?;
            inner.changes.get(index)
        };
        let seen = |number: &u64| change(*number).is_none_or(|change| change.at <= mark);
        let from = watched.numbers.partition_point(seen);
        let numbers = watched.numbers.range(from..);
        let found: Vec<_> = numbers
            .take(most)
            .filter_map(|number| change(*number).cloned())
            .collect();
        let mark = match found.last() {
            Some(last) => last.at,
            None => mark.max(inner.end),
        };
        Ok((found, mark))
    }
}

impl<S: State> Inner<S> {
    fn add(&mut self, change: Recorded<S>) {
        let number = self.first + self.changes.len() as u64;
        // Nearly always nobody watches a single key here, or nobody this one.
        if !self.watched.is_empty()
            && let Some(watched) = self.watched.get_mut(&change.key)
        {
            watched.numbers.push_back(number);
            watched.changed.notify_waiters();
        }
        self.bytes += bytes_of(&change);
        self.changes.push_back(Arc::new(change));
    }

    fn trim(&mut self) {
        let History {
            changes_max,
            bytes_max,
        } = self.history;
        while self.changes.len() > changes_max || self.bytes > bytes_max {
            self.forget_first();
        }
    }

    /// What lies before a hole is of no use, and who is there has lost the thread.
    fn forget_before_begin(&mut self) {
        let begin = self.begin;
        if begin <= self.start {
            return;
        }
        while self
            .changes
            .front()
            .is_some_and(|change| change.at <= begin)
        {
            self.forget_first();
        }
        self.start = begin;
        for watched in self.watched.values_mut() {
            watched.lost = watched.lost.max(begin);
        }
    }

    fn forget_first(&mut self) {
        let Some(change) = self.changes.pop_front() else {
            return;
        };
        if !self.watched.is_empty()
            && let Some(watched) = self.watched.get_mut(&change.key)
            && watched.numbers.front() == Some(&self.first)
        {
            watched.numbers.pop_front();
            watched.lost = change.at;
        }
        self.first += 1;
        self.bytes -= bytes_of(&change);
        self.start = self.start.max(change.at);
    }

    fn after(&self, mark: Mark, most: usize) -> Read<S> {
        if self.closed {
            return Err(Unread::Closed);
        }
        // A mark behind the end is one of another log.
        if mark < self.start || mark > self.end {
            return Err(Unread::Lost);
        }
        let from = self.changes.partition_point(|change| change.at <= mark);
        let found: Vec<_> = self.changes.range(from..).take(most).cloned().collect();
        let mark = match found.last() {
            Some(last) if from + found.len() < self.changes.len() => last.at,
            _ => mark.max(self.end),
        };
        Ok((found, mark))
    }
}

fn bytes_of<S: State>(change: &Recorded<S>) -> usize {
    let value = change.stored.as_ref().map_or(0, |stored| stored.bytes());
    ENTRY_BYTES + value as usize
}

#[cfg(test)]
mod tests;
