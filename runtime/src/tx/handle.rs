//! What a handler sees of a transaction.

use std::{
    any::Any,
    collections::{BTreeMap, btree_map::Entry as MapEntry},
    fmt,
    ops::RangeBounds,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::time::Instant;

use super::{
    Listing, Part, Range, Read, Was, Write,
    ahead::{Again, Found, Place, again},
    courier, reading,
};
use crate::{
    entry::{Edit, Entry},
    key::{key_text, parse_key},
    log::TopicPartition,
    memory::Stored,
    node::Node,
    problem::{Problem, Result},
    state::State,
    stream::{Emits, Emitted},
};

/// Keys that one transaction may read and write; beyond it, it fails with 422.
pub(super) const KEYS_MAX: usize = 10_000;
/// What one transaction may write, in bytes of JSON; beyond it, it fails with 413. In one partition it may be less: it has to fit into one record.
const WRITTEN_BYTES_MAX: usize = 16 << 20;

/// A transaction: reads and writes of any keys of any states, as if nobody else did anything meanwhile.
///
/// A `#[handler]` whose first argument is `tx: &mut Tx` is carried out as a whole or not at all, and its reply is sent after what it wrote is durable. An error (a status from 400 on) undoes
/// everything. The function may run several times, since others may change what it has read: it has no effects but those on `tx`. With `tx: &Tx` it changes nothing.
///
/// ```
/// use memgen::prelude::*;
///
/// #[stateful_api(path = "/account", partitions = 4, crud(get, put))]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// pub struct Account {
///     #[key]
///     pub id: u32,
///     pub balance: u64,
/// }
///
/// #[handler(post, "/transfer/{from}/{to}/{amount}")]
/// async fn transfer(tx: &mut Tx, from: u32, to: u32, amount: u64) -> Result<NoContent> {
///     let mut payer: Account = tx.get(&from).await?.ok_or_else(|| NotFound::new("no payer"))?;
///     let left = payer.balance.checked_sub(amount);
///     payer.balance = left.ok_or_else(|| Conflict::new("there is not enough"))?;
///     tx.put(payer)?;
///     tx.update(&to, |entry: &mut Entry<Account>| match entry.get_mut() {
///         Some(payee) => Ok(payee.balance += amount),
///         None => Err(NotFound::new("no payee")),
///     })
///     .await??;
///     Ok(NoContent)
/// }
/// # fn main() {}
/// ```
pub struct Tx {
    node: Arc<Node>,
    deadline: Instant,
    touched: Mutex<AllTouched>,
    /// What was read before it began.
    ahead: Mutex<BTreeMap<Place, Found>>,
    lists: Mutex<Vec<(TopicPartition, Listing)>>,
    /// The bytes of all that it writes.
    written: usize,
    emits: Emits,
}

/// Boxed, since a node of a B-tree has room for eleven, and most transactions touch one key or two: what is larger than a kilobyte costs the allocator several times as much.
type AllTouched = BTreeMap<Place, Box<Touched>>;

/// What a transaction did in each partition; boxed for the same reason.
pub(super) type Parts = BTreeMap<TopicPartition, Box<Part>>;

/// A key that the function has read or written.
struct Touched {
    place: TopicPartition,
    /// What it read from the owner, if it did.
    read: Option<Was>,
    /// How it is read again.
    again: Again,
    /// The entity as the function sees it: an `Arc<Stored<S>>`.
    now: Option<Arc<dyn Any + Send + Sync>>,
    /// What it wrote, if it did.
    write: Option<Write>,
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("keys", &self.touched().len())
            .finish_non_exhaustive()
    }
}

impl Tx {
    pub(super) fn new(node: Arc<Node>, deadline: Instant, ahead: BTreeMap<Place, Found>) -> Self {
        Self {
            node,
            deadline,
            touched: Mutex::default(),
            ahead: Mutex::new(ahead),
            lists: Mutex::default(),
            written: 0,
            emits: Emits::default(),
        }
    }

    /// The entity with this key, as the transaction has left it.
    ///
    /// # Errors
    /// 503 if its owner can't be reached.
    pub async fn get<S: State>(&self, key: &S::Key) -> Result<Option<S>> {
        let stored = self.stored::<S>(key).await?;
        Ok(stored.map(|stored| stored.state.clone()))
    }

    /// The entities whose keys are in this range, in order, as the transaction has left them.
    ///
    /// All of them are in one partition. Where a state has several, these are the entities of the *partition key* of the range's start
    /// (`#[partition_by]`), and no others.
    ///
    /// ```
    /// # use memgen::prelude::*;
    /// # #[stateful_api(path = "/customers/{customer}/orders", partitions = 4)]
    /// # #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    /// # pub struct Order { #[key] #[partition_by] pub customer: String, #[key] pub number: u32 }
    /// /// A new order, with the next number.
    /// #[handler(post, "/order/{customer}")]
    /// async fn order(tx: &mut Tx, customer: String) -> Result<Created<Order>> {
    ///     let orders = tx.list::<Order>((customer.clone(), 0)..).await?;
    ///     let number = orders.last().map_or(1, |last| last.number + 1);
    ///     let order = Order { customer, number };
    ///     tx.put(order.clone())?;
    ///     Ok(Created::new(order))
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// 503 if its owner can't be reached; 422 if the transaction has too many keys; 500 if such a range is not in one partition.
    pub async fn list<S: State>(&self, keys: impl RangeBounds<S::Key> + Send) -> Result<Vec<S>> {
        let partitions = self.node.partitions::<S>()?;
        let range = Range::of::<S>(&keys, partitions.slots.len());
        let range = range.map_err(Problem::internal)?;
        let slot = match range.within() {
            None => &partitions.slots[0],
            Some(within) => partitions.locate_text(within),
        };
        let typed = range
            .typed::<S>()
            .map_err(|error| Problem::invalid(format!("the range: {error}")))?;
        if typed.bounds().is_none() {
            return Ok(Vec::new());
        }
        let (comings, listed) = reading::list(slot, &range, self.deadline).await?;
        let count = listed.len();
        let mut all = self.touched();
        for (version, stored) in listed {
            let was = Was::There(version);
            let at = (S::DEFINITION.topic, key_text::<S>(&stored.state.key()));
            match all.entry(at) {
                MapEntry::Occupied(mut entry) => {
                    let touched = entry.get_mut();
                    touched.read = touched.read.or(Some(was));
                }
                MapEntry::Vacant(entry) => {
                    entry.insert(Box::new(Touched {
                        place: slot.partition.clone(),
                        read: Some(was),
                        again: again::<S>,
                        now: Some(stored as _),
                        write: None,
                    }));
                }
            }
        }
        if all.len() > KEYS_MAX {
            return Err(too_many());
        }
        let listing = Listing {
            range,
            count,
            comings,
        };
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.push((slot.partition.clone(), listing));
        let of_topic = all.range((S::DEFINITION.topic, String::new())..);
        let of_topic = of_topic.take_while(|((topic, _), _)| *topic == S::DEFINITION.topic);
        let there = of_topic.filter_map(|(_, touched)| typed_now::<S>(touched.now.as_ref()));
        let mut found: Vec<_> = there
            .map(|stored| (stored.state.key(), stored))
            .filter(|(key, _)| typed.contains(key))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found
            .into_iter()
            .map(|(_, stored)| stored.state.clone())
            .collect())
    }

    /// Creates or replaces an entity.
    ///
    /// # Errors
    /// 422 if its key can't be one, or if the transaction has too many keys; 413 if it writes too much.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "it is given away, as to a map"
    )]
    pub fn put<S: State>(&mut self, state: S) -> Result<()> {
        self.write::<S>(&state.key(), Some(&state))
    }

    /// Removes the entity with this key. Removing one that does not exist is right too.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete<S: State>(&mut self, key: &S::Key) -> Result<()> {
        self.write::<S>(key, None)
    }

    /// Changes, creates or removes the entity with this key.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`put`](Self::put).
    pub async fn update<S: State, R>(
        &mut self,
        key: &S::Key,
        change: impl FnOnce(&mut Entry<S>) -> R + Send,
    ) -> Result<R> {
        let before = self.stored::<S>(key).await?;
        let mut entry = Entry::new(key.clone(), before);
        let outcome = change(&mut entry);
        let (_, edit, emits) = entry.into_parts();
        self.emits.append(emits);
        match edit {
            Edit::Untouched => {}
            Edit::Removed => self.write::<S>(key, None)?,
            Edit::Set(state) if state.key() == *key => self.write::<S>(key, Some(&state))?,
            Edit::Set(state) => {
                return Err(Problem::internal(format!(
                    "an update of the key `{}` left an entity of the key `{}`",
                    key_text::<S>(key),
                    key_text::<S>(&state.key())
                )));
            }
        }
        Ok(outcome)
    }

    /// Emits a record to a topic that others read: a value as JSON, under a key that decides its partition.
    ///
    /// It happens with what the transaction writes or not at all, and arrives at least once, in order with all else that the transaction's home emits. See [`Entry::emit`].
    pub fn emit(&mut self, topic: &str, key: impl fmt::Display, value: &impl Serialize) {
        self.emits.json(topic, &key, value);
    }

    /// Emits bytes as they are. See [`emit`](Self::emit).
    pub fn emit_bytes(&mut self, topic: &str, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.emits.bytes(topic, key.into(), value.into());
    }

    /// Emits a value of Avro in Confluent's wire format, by the schema of its type (`#[derive(AvroSchema)]` of the crate `apache-avro`), which is registered as `TOPIC-value`. As long as the
    /// registry is away, or refuses the schema, it stays in the outbox with all that is emitted after it. See [`Entry::emit_avro`].
    #[cfg(feature = "avro")]
    pub fn emit_avro<T: apache_avro::AvroSchema + Serialize + 'static>(
        &mut self,
        topic: &str,
        key: impl fmt::Display,
        value: &T,
    ) {
        self.emits.avro(topic, &key, value);
    }

    pub(crate) fn emits_mut(&mut self) -> &mut Emits {
        &mut self.emits
    }

    /// What it has emitted, if that is to happen.
    pub(super) fn take_emitted(&mut self, writes: bool) -> Result<Vec<Emitted>> {
        let emits = std::mem::take(&mut self.emits);
        if writes {
            emits.finish()
        } else {
            Ok(Vec::new())
        }
    }

    fn touched(&self) -> MutexGuard<'_, AllTouched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stored<S: State>(&self, key: &S::Key) -> Result<Option<Arc<Stored<S>>>> {
        let at = (S::DEFINITION.topic, key_text::<S>(key));
        if let Some(touched) = self.touched().get(&at) {
            return Ok(typed_now(touched.now.as_ref()));
        }
        let partitions = self.node.partitions::<S>()?;
        let slot = partitions.locate(key);
        let ahead = self
            .ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&at);
        let (was, stored) = match ahead {
            Some((was, now)) => (was, typed_now(now.as_ref())),
            None => reading::read(slot, key, self.deadline).await?,
        };
        let mut all = self.touched();
        let many = all.len();
        match all.entry(at) {
            // Another read of the same key, at once with this one, was faster.
            MapEntry::Occupied(entry) => Ok(typed_now(entry.get().now.as_ref())),
            MapEntry::Vacant(_) if many >= KEYS_MAX => Err(too_many()),
            MapEntry::Vacant(entry) => {
                entry.insert(Box::new(Touched {
                    place: slot.partition.clone(),
                    read: Some(was),
                    again: again::<S>,
                    now: stored.clone().map(|stored| stored as _),
                    write: None,
                }));
                Ok(stored)
            }
        }
    }

    fn write<S: State>(&mut self, key: &S::Key, state: Option<&S>) -> Result<()> {
        let text = key_text::<S>(key);
        parse_key::<S>(&text).map_err(|error| Problem::invalid(format!("the key: {error}")))?;
        let place = self.node.partitions::<S>()?.locate(key).partition.clone();
        let value = state.map(to_raw_value).transpose();
        let value = value.map_err(Problem::internal)?;
        let now = match &value {
            None => None,
            Some(value) => {
                let stored = Stored::<S>::decode(value.get().as_bytes());
                let stored = stored.map_err(Problem::internal)?;
                if stored.state.key() != *key {
                    return Err(Problem::internal(format!(
                        "the key of a {} changes in its own serialization",
                        S::DEFINITION.name
                    )));
                }
                Some(Arc::new(stored))
            }
        };
        let now = now.map(|stored| stored as Arc<dyn Any + Send + Sync>);
        let all = self.touched.get_mut();
        let all = all.unwrap_or_else(PoisonError::into_inner);
        let many = all.len();
        let write = Write {
            key: text.clone(),
            value,
            stored: now.clone(),
        };
        self.written += write.bytes();
        match all.entry((S::DEFINITION.topic, text)) {
            MapEntry::Occupied(mut entry) => {
                let touched = entry.get_mut();
                touched.now = now;
                let before = touched.write.replace(write);
                self.written -= before.as_ref().map_or(0, Write::bytes);
            }
            MapEntry::Vacant(_) if many >= KEYS_MAX => return Err(too_many()),
            MapEntry::Vacant(entry) => {
                entry.insert(Box::new(Touched {
                    place,
                    read: None,
                    again: again::<S>,
                    now,
                    write: Some(write),
                }));
            }
        }
        if self.written > WRITTEN_BYTES_MAX {
            return Err(Problem::content_too_large(WRITTEN_BYTES_MAX as u64));
        }
        Ok(())
    }

    /// All that it has read but for ranges.
    pub(super) fn reads(&self) -> Vec<(Place, Again)> {
        let touched = self.touched();
        let read = touched.iter().filter(|(_, it)| it.read.is_some());
        read.map(|(at, it)| (at.clone(), it.again)).collect()
    }

    /// All keys that it has read or written, by partition.
    pub(super) fn keys(&self) -> courier::Keys {
        let mut keys = courier::Keys::new();
        for ((_, key), touched) in self.touched().iter() {
            let of_partition = keys.entry(touched.place.clone()).or_default();
            of_partition.push(key.clone());
        }
        keys
    }

    /// What it did in each partition; without its writes if they are not to happen.
    pub(super) fn into_parts(self, writes: bool) -> Parts {
        let touched = self.touched.into_inner();
        let mut parts = Parts::new();
        for ((_, key), touched) in touched.unwrap_or_else(PoisonError::into_inner) {
            let part = parts.entry(touched.place).or_default();
            part.writes.extend(touched.write.filter(|_| writes));
            if let Some(was) = touched.read {
                part.reads.push(Read { key, was });
            }
        }
        let lists = self.lists.into_inner();
        for (place, list) in lists.unwrap_or_else(PoisonError::into_inner) {
            parts.entry(place).or_default().lists.push(list);
        }
        parts.retain(|_, part| {
            !(part.reads.is_empty() && part.lists.is_empty() && part.writes.is_empty())
        });
        parts
    }
}

fn typed_now<S: State>(now: Option<&Arc<dyn Any + Send + Sync>>) -> Option<Arc<Stored<S>>> {
    let now = now?.clone().downcast();
    // A topic has one type.
    now.ok()
}

fn too_many() -> Problem {
    Problem::invalid(format!(
        "a transaction can have {KEYS_MAX} keys, and this one would have more"
    ))
}
