//! Events: what they change, and how far their input was taken in, become one record or batch.

use std::{collections::BTreeMap, sync::Arc};

use axum::http::StatusCode;
use bytes::Bytes;

use super::{
    Running,
    decide::{Decided, DecidedEdit},
    group::{Group, Reply},
    transact::Writing,
};
use crate::{
    key::key_text,
    mailbox::{Refusal, Slot},
    memory::{Change, Stored, UNKNOWN},
    problem::said,
    state::State,
    stream::{Batch, Emitted, Event, Reached, Taken, Work},
};

/// What a record takes at most beside what is counted.
const REST_BYTES: usize = 1024;

/// The new entity of a key, and its value in the log; none deletes.
pub(super) type Changed<S> = (Option<Arc<Stored<S>>>, Option<Bytes>);

/// What events have come to so far.
struct Gathered<S: State> {
    /// The last value of each key that they changed.
    changes: BTreeMap<S::Key, Changed<S>>,
    emitted: Vec<Emitted>,
    bytes: usize,
    count: u64,
}

/// Why no further event is taken in with those before it.
enum Stop {
    /// A transaction has its key.
    Locked,
    Poison(String),
    TooLong,
    /// It may be later.
    Later(Refusal),
}

impl<S: State> Running<S> {
    /// Takes in what was not taken in before, up to the first event that can't be now.
    pub(super) fn take(&mut self, batch: Batch<S>, slot: Slot<Taken>, group: &mut Group<S>) {
        let Batch {
            input,
            events,
            next,
            seen,
            dead_letters,
        } = batch;
        let mut reached = self.reached(&input);
        let before = reached.next;
        if next <= before {
            return self.wait(group, None, answer(slot, Taken::All));
        }
        self.finish_all(group);
        let mut gathered = Gathered {
            changes: BTreeMap::new(),
            emitted: Vec::new(),
            bytes: reached_bytes(&reached) + REST_BYTES,
            count: 0,
        };
        let mut until = next;
        let mut taken = Taken::All;
        for event in events {
            if event.offset < before {
                continue;
            }
            let offset = event.offset;
            let stop = match self.take_one(event, &input, dead_letters.as_deref(), &mut gathered) {
                Ok(()) => continue,
                Err(stop) => stop,
            };
            taken = match stop {
                Stop::TooLong if gathered.count == 0 => Taken::Poison(offset, self.too_long()),
                // What is gathered fits, and the rest comes again.
                Stop::Later(refusal) if gathered.count == 0 => {
                    return drop(slot.send(Err(refusal)));
                }
                Stop::Locked | Stop::TooLong | Stop::Later(_) => Taken::Until(offset),
                Stop::Poison(why) => Taken::Poison(offset, why),
            };
            until = offset;
            break;
        }
        if until <= before {
            return self.wait(group, None, answer(slot, taken));
        }
        reached.pass(&seen, until);
        self.metrics.events.inc_by(gathered.count);
        let changes = gathered.changes.into_iter().map(|(key, (stored, value))| {
            let change = Change {
                offset: UNKNOWN,
                key,
                stored,
                written: None,
            };
            (change, value)
        });
        let changes = changes.collect();
        let mut own = vec![self.reach(&input, &reached)];
        if !gathered.emitted.is_empty() {
            own.push(self.emission(gathered.emitted));
        }
        let writing = Writing {
            changes,
            own,
            schema: self.schema,
            answers: None,
        };
        self.write(group, writing, answer(slot, taken));
    }

    /// Takes one event in, after those that are gathered.
    fn take_one(
        &self,
        event: Event<S>,
        input: &str,
        dead_letters: Option<&str>,
        gathered: &mut Gathered<S>,
    ) -> Result<(), Stop> {
        let Event {
            offset,
            record,
            work,
        } = event;
        let why = match work {
            Work::Poison(why) => why,
            Work::Run(key, run) => {
                if self.tx.locks.is_locked(&key) {
                    return Err(Stop::Locked);
                }
                let before = match gathered.changes.get(&key) {
                    Some((stored, _)) => stored.clone(),
                    None => self.look(&key),
                };
                let decided = self.execute(key, before, run);
                if decided.response.status().as_u16() < 400 {
                    let Decided {
                        key, edit, emitted, ..
                    } = decided;
                    match self.gather_edit(key, edit, emitted, gathered) {
                        Err(Stop::TooLong) if gathered.count == 0 => self.too_long(),
                        outcome => return outcome,
                    }
                } else if decided.response.status() == StatusCode::SERVICE_UNAVAILABLE {
                    return Err(Stop::Later(Refusal::QueueFull));
                } else if decided.response.status() == StatusCode::INSUFFICIENT_STORAGE {
                    // No fault of the event.
                    return Err(Stop::Later(Refusal::Full(said(decided.response))));
                } else {
                    said(decided.response)
                }
            }
        };
        let Some(topic) = dead_letters else {
            return Err(Stop::Poison(why));
        };
        let letter = Emitted::dead_letter(topic, input, offset, &record, &why);
        match self.may_emit(vec![letter]) {
            Ok(letters) => self.add(Vec::new(), letters, gathered),
            Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
                Err(Stop::Later(Refusal::QueueFull))
            }
            Err(problem) => Err(Stop::Poison(format!(
                "{why}; and it is no dead letter: {problem}"
            ))),
        }
    }

    fn too_long(&self) -> String {
        let bytes = self.record_bytes_max;
        format!("what it changes does not fit into a record of {bytes} bytes")
    }

    fn gather_edit(
        &self,
        key: S::Key,
        edit: DecidedEdit<S>,
        emitted: Vec<Emitted>,
        gathered: &mut Gathered<S>,
    ) -> Result<(), Stop> {
        let change = match edit {
            DecidedEdit::Unchanged => None,
            DecidedEdit::Set(stored, value) => Some((Some(Arc::new(stored)), Some(value))),
            DecidedEdit::Removed => Some((None, None)),
        };
        self.add(
            change.map(|change| (key, change)).into_iter().collect(),
            emitted,
            gathered,
        )
    }

    fn add(
        &self,
        changes: Vec<(S::Key, Changed<S>)>,
        emitted: Vec<Emitted>,
        gathered: &mut Gathered<S>,
    ) -> Result<(), Stop> {
        let lengths = changes.iter().map(|(key, (_, value))| {
            key_text::<S>(key).len() + value.as_ref().map_or(0, Bytes::len) + 8
        });
        let bytes = lengths.sum::<usize>() + emitted.iter().map(Emitted::bytes).sum::<usize>();
        if gathered.bytes + bytes > self.record_bytes_max {
            return Err(Stop::TooLong);
        }
        gathered.bytes += bytes;
        gathered.count += 1;
        gathered.changes.extend(changes);
        gathered.emitted.extend(emitted);
        Ok(())
    }
}

/// About how many bytes it takes in the log.
fn reached_bytes(reached: &Reached) -> usize {
    let sources = reached.sources.keys().map(|source| source.len() + 32);
    sources.sum::<usize>() + 128
}

fn answer(slot: Slot<Taken>, taken: Taken) -> Reply {
    Reply::Then(Box::new(move |outcome| {
        drop(slot.send(outcome.map(|_| taken)));
    }))
}
