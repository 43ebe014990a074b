//! The replies that a partition remembers (rule 10).

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::copy;
use crate::record::{Answered, Offset};

/// How long, and how many, replies are remembered per partition.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// Replies older than this are forgotten. Measured between the timestamps of records.
    pub age_ms: u64,
    /// At most this many are kept; the oldest go first.
    pub replies_max: usize,
    /// At most this many bytes of them are kept; the oldest go first.
    pub replies_bytes_max: usize,
}

/// The remembered reply to a request (rule 10).
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The hash of the request.
    pub fingerprint: u128,
    /// The reply, encoded by the HTTP layer.
    pub reply: Bytes,
    /// Where the record is that carries it.
    pub offset: Offset,
    /// When that record was written.
    pub timestamp_ms: u64,
}

impl Remembered {
    fn bytes(&self) -> usize {
        self.reply.len()
    }
}

/// The replies to requests with ids of one kind.
#[derive(Clone, Debug)]
pub(super) struct Replies {
    horizon: Horizon,
    by_id: HashMap<Bytes, Remembered>,
    /// Ids, oldest first.
    order: VecDeque<Bytes>,
    bytes: usize,
    newest_ms: u64,
}

impl Replies {
    pub(super) fn new(horizon: Horizon) -> Self {
        Self {
            horizon,
            by_id: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            newest_ms: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Remembered)> {
        let known = |id| Some((id, self.by_id.get(id)?));
        self.order.iter().filter_map(known)
    }

    /// The reply to the request with this id, if it was carried out within the horizon before `now_ms`.
    pub(super) fn get(&self, id: &[u8], now_ms: u64) -> Option<&Remembered> {
        let found = self.by_id.get(id)?;
        (now_ms.saturating_sub(found.timestamp_ms) <= self.horizon.age_ms).then_some(found)
    }

    pub(super) fn remember(&mut self, offset: Offset, timestamp_ms: u64, answered: &Answered) {
        self.newest_ms = self.newest_ms.max(timestamp_ms);
        let id = copy(&answered.id);
        let remembered = Remembered {
            fingerprint: answered.fingerprint,
            reply: copy(&answered.reply),
            offset,
            timestamp_ms,
        };
        self.bytes += remembered.bytes();
        // An id that comes again is one whose first reply was beyond the horizon: it starts anew, as the youngest.
        if let Some(before) = self.by_id.insert(id.clone(), remembered) {
            self.bytes -= before.bytes();
            self.order.retain(|known| *known != id);
        }
        self.order.push_back(id);
        while let Some(oldest) = self.order.front() {
            let age_ms = self
                .newest_ms
                .saturating_sub(self.by_id[oldest].timestamp_ms);
            let Horizon {
                age_ms: age_ms_max,
                replies_max,
                replies_bytes_max,
            } = self.horizon;
            if age_ms <= age_ms_max
                && self.by_id.len() <= replies_max
                && self.bytes <= replies_bytes_max
            {
                break;
            }
            if let Some(forgotten) = self.by_id.remove(oldest) {
                self.bytes -= forgotten.bytes();
            }
            self.order.pop_front();
        }
    }
}
