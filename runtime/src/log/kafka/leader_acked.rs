//! Appending where a partition's leader alone acknowledges.

use crate::{
    log::{Producer, Receipt},
    record::{Kind, Record},
};

/// Sends barriers through a client to which all replicas acknowledge, since nobody may take itself for the owner by a barrier that gets lost. The rest goes through one to which
/// the leader does. A barrier is alone: it is waited for before anything else is sent.
pub(super) struct LeaderAcked {
    pub(super) barriers: Box<dyn Producer>,
    pub(super) others: Box<dyn Producer>,
}

impl Producer for LeaderAcked {
    fn append(&mut self, records: &[Record]) -> Receipt {
        if records.iter().any(|record| record.kind == Kind::Barrier) {
            self.barriers.append(records)
        } else {
            self.others.append(records)
        }
    }
}
