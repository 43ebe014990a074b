//! The feed of one partition, as a node that follows it makes it: the values that are there, then each change.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::{Bound, ControlFlow},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Interval};

use super::{every, filter::Filter, item::Item, mark::Mark, recent::Unread};
use crate::{
    ambient::select,
    memory::{Memory, Stored},
    state::State,
};

/// So many changes are read at once. The lock on them is held for that long.
const READ_MAX: usize = 256;
/// So many keys are looked at for each piece of the values.
const WALK_MAX: usize = 1024;
/// How often a feed looks whether memory has gone through what it is being changed to.
const SETTLE_POLL: Duration = Duration::from_millis(1);

/// A feed of what this node has of a partition.
pub(crate) struct Local<S: State> {
    memory: Arc<Memory<S>>,
    filter: Filter<S>,
    mark: Mark,
    stage: Stage<S::Key>,
    /// The one key that is watched, once all that came before was seen.
    watched: Option<WatchedKey<S>>,
    ready: VecDeque<Item>,
    progress: Interval,
    /// It is time to tell how far it is.
    tell: bool,
}

/// What a feed shows.
enum Stage<K> {
    /// The values that are there: none was shown yet.
    Values,
    /// The values that are there: they were shown up to this key.
    ValuesAfter(K),
    Changes,
}

impl<S: State> Local<S> {
    /// A feed that goes on after `from`, or begins with the values. `progress` says how often it tells how far it is.
    pub(crate) fn new(
        memory: Arc<Memory<S>>,
        filter: Filter<S>,
        from: Option<Mark>,
        progress: Duration,
    ) -> Self {
        Self {
            mark: from.unwrap_or_else(|| memory.recent().end()),
            stage: match from {
                None => Stage::Values,
                Some(_) => Stage::Changes,
            },
            memory,
            filter,
            watched: None,
            ready: VecDeque::new(),
            progress: every(progress),
            tell: false,
        }
    }

    /// Whether what follows is known.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.stage, Stage::Values) || self.memory.recent().after(self.mark, 0).is_ok()
    }

    /// What comes next; none once the partition is not followed here any more. After [`Item::Lost`] nothing that comes next is of use.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let more = match std::mem::replace(&mut self.stage, Stage::Changes) {
                Stage::Values => self.show_values(None).await,
                Stage::ValuesAfter(shown) => self.show_values(Some(shown)).await,
                Stage::Changes => self.show_changes().await,
            };
            match more {
                Ok(()) => {}
                Err(Unread::Lost) => return Some(Item::Lost),
                Err(Unread::Closed) => return None,
            }
        }
    }

    /// Shows a piece of the values, behind the key `shown`.
    ///
    /// Memory changes meanwhile, and is not waited for: a value that is found may be that of any change between the mark and the one that is being applied now. So
    /// the changes up to that one are read, too. Those of keys that were shown before are shown, in order; the last one of a key of this piece is its value.
    /// All that was shown is as of the new mark then.
    async fn show_values(&mut self, shown: Option<S::Key>) -> Result<(), Unread> {
        let mut piece = BTreeMap::new();
        let last = self.find_values(shown.as_ref(), &mut piece);
        let applying = self.memory.applying();
        while self.memory.recent().end() < Mark::before(applying) {
            if self.memory.recent().is_closed() {
                return Err(Unread::Closed);
            }
            tokio::time::sleep(SETTLE_POLL).await;
        }
        loop {
            let (changes, mark) = self.memory.recent().after(self.mark, READ_MAX)?;
            for change in changes
                .iter()
                .filter(|change| self.filter.passes(&change.key))
            {
                if shown.as_ref().is_some_and(|shown| change.key <= *shown) {
                    self.ready.extend(Item::change(change, None));
                } else if last.as_ref().is_none_or(|last| change.key <= *last) {
                    piece.insert(change.key.clone(), change.stored.clone());
                }
            }
            self.mark = mark;
            if changes.len() < READ_MAX {
                break;
            }
        }
        if let Filter::Key(key) = &self.filter {
            let value = piece.remove(key).flatten();
            let item = Item::value(key, value.as_deref(), Some(self.mark));
            self.ready.extend(item);
            return Ok(());
        }
        for (key, value) in &piece {
            if let Some(value) = value {
                self.ready.extend(Item::value(key, Some(&**value), None));
            }
        }
        match last {
            Some(last) => {
                self.stage = Stage::ValuesAfter(last);
                // Others get their turn between two pieces.
                tokio::task::yield_now().await;
            }
            None => self.ready.push_back(Item::Current(self.mark)),
        }
        Ok(())
    }

    /// Finds the next values, and the key up to which it looked if that was not the last.
    fn find_values(
        &self,
        shown: Option<&S::Key>,
        piece: &mut BTreeMap<S::Key, Option<Arc<Stored<S>>>>,
    ) -> Option<S::Key> {
        if let Filter::Key(key) = &self.filter {
            piece.insert(key.clone(), self.memory.get(key));
            return None;
        }
        let from = match (shown, self.filter.first()) {
            (Some(shown), _) => Bound::Excluded(shown),
            (None, Some(first)) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        let (mut looked_at, mut last) = (0, None);
        self.memory.walk(from, |key, stored| {
            if self.filter.passes(key) {
                piece.insert(key.clone(), Some(stored));
            } else if self.filter.is_past(key) {
                return ControlFlow::Break(());
            }
            looked_at += 1;
            if looked_at == WALK_MAX {
                last = Some(key.clone());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        last
    }

    /// Shows the next changes, or waits for them.
    async fn show_changes(&mut self) -> Result<(), Unread> {
        let Self {
            memory,
            filter,
            mark,
            watched,
            ready,
            progress,
            tell,
            ..
        } = self;
        let own = watched.as_ref().map(|watched| watched.changed.clone());
        let notify: &Notify = own.as_deref().unwrap_or(memory.recent().changed());
        let woken = notify.notified();
        tokio::pin!(woken);
        // Before the look, so that what comes after it wakes.
        woken.as_mut().enable();
        let (changes, seen) = match watched {
            Some(watched) => memory.recent().of_watched(&watched.key, *mark, READ_MAX)?,
            None => memory.recent().after(*mark, READ_MAX)?,
        };
        *mark = seen;
        for change in changes.iter().filter(|change| filter.passes(&change.key)) {
            ready.extend(Item::change(change, Some(change.at)));
        }
        if !changes.is_empty() {
            return Ok(());
        }
        if let (Filter::Key(key), None) = (&*filter, &watched) {
            // From now on only what changes this key wakes.
            *watched = WatchedKey::new(memory, key, *mark);
            return Ok(());
        }
        if std::mem::take(tell) {
            ready.push_back(Item::Progress(*mark));
            return Ok(());
        }
        select! {
            () = woken => {}
            _ = progress.tick() => *tell = true,
        }
        Ok(())
    }
}

/// A key whose changes wake a feed.
struct WatchedKey<S: State> {
    memory: Arc<Memory<S>>,
    key: S::Key,
    changed: Arc<Notify>,
}

impl<S: State> WatchedKey<S> {
    fn new(memory: &Arc<Memory<S>>, key: &S::Key, mark: Mark) -> Option<Self> {
        let changed = memory.recent().watch(key, mark)?;
        Some(Self {
            memory: memory.clone(),
            key: key.clone(),
            changed,
        })
    }
}

impl<S: State> Drop for WatchedKey<S> {
    fn drop(&mut self) {
        self.memory.recent().unwatch(&self.key);
    }
}
