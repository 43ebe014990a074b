//! All partitions of one state as one node sees them: key -> partition -> here, at a peer, or nowhere.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    assignment::Owner,
    key::{key_text, partition_text},
    log::TopicPartition,
    mailbox::{Mailbox, RETRY_AFTER_SECONDS},
    memory::Memory,
    partitioner::partition,
    problem::Problem,
    record::Offset,
    state::State,
    writer::Phase,
};

/// How often a read that waits for a position looks again.
const POSITION_POLL: Duration = Duration::from_millis(2);

/// The partitions of one state.
pub(crate) struct Partitions<S: State> {
    pub(crate) places: Vec<Place<S>>,
}

/// Where a partition is.
pub(crate) enum Place<S: State> {
    Here(Arc<Here<S>>),
    /// At the node with this index.
    Peer(usize),
    Nowhere,
}

/// A partition that this node owns.
pub(crate) struct Here<S: State> {
    pub(crate) partition: TopicPartition,
    pub(crate) memory: Arc<Memory<S>>,
    pub(crate) mailbox: Mailbox<S>,
    pub(crate) phase: watch::Receiver<Phase>,
}

impl<S: State> Partitions<S> {
    /// The number and the place of the partition that the key belongs to.
    pub(crate) fn locate(&self, key: &S::Key) -> &Place<S> {
        let text = key_text::<S>(key);
        self.locate_text(&partition_text::<S>(&text))
    }

    /// The place of the partition that this text hashes to.
    pub(crate) fn locate_text(&self, text: &str) -> &Place<S> {
        let count = u32::try_from(self.places.len()).expect("partitions are counted in a u32");
        &self.places[partition(text.as_bytes(), count) as usize]
    }

    /// The places of a fresh node, as assigned.
    pub(crate) fn new(owners: &[Owner], mut here: impl FnMut(u32) -> Here<S>) -> Self {
        let places = (0..).zip(owners).map(|(index, owner)| match owner {
            Owner::Here => Place::Here(Arc::new(here(index))),
            Owner::Peer(node) => Place::Peer(*node),
            Owner::Nobody => Place::Nowhere,
        });
        Self {
            places: places.collect(),
        }
    }
}

impl<S: State> Place<S> {
    /// The partition, if this node owns it.
    pub(crate) fn here(&self) -> Option<&Here<S>> {
        match self {
            Self::Here(here) => Some(here),
            Self::Peer(_) | Self::Nowhere => None,
        }
    }

    /// The node that owns it, if that is another one.
    pub(crate) fn peer(&self) -> Option<usize> {
        match self {
            Self::Peer(node) => Some(*node),
            Self::Here(_) | Self::Nowhere => None,
        }
    }
}

impl<S: State> Here<S> {
    /// Waits until the partition serves.
    pub(crate) async fn serving(&self, patience: Duration) -> Result<(), Problem> {
        let at_once = match &*self.phase.borrow() {
            Phase::Serving => Some(Ok(())),
            Phase::Halted(_) => Some(Err(self.halted())),
            Phase::Replaying => None,
        };
        if let Some(outcome) = at_once {
            return outcome;
        }
        let mut phase = self.phase.clone();
        let settled = phase.wait_for(|phase| *phase != Phase::Replaying);
        match tokio::time::timeout(patience, settled).await {
            Ok(Ok(phase)) if *phase == Phase::Serving => Ok(()),
            Ok(_) => Err(self.halted()),
            Err(_) => Err(Problem::unavailable(
                format!("partition {} still reads its log", self.partition),
                RETRY_AFTER_SECONDS,
            )),
        }
    }

    fn halted(&self) -> Problem {
        Problem::unavailable(
            format!(
                "partition {} has halted; the operator's log says where and why",
                self.partition
            ),
            RETRY_AFTER_SECONDS,
        )
    }

    /// Waits until memory shows the record at `position`.
    pub(crate) async fn reach(&self, position: Offset, patience: Duration) -> Result<(), Problem> {
        let reached = async {
            while self.memory.applied() <= position {
                tokio::time::sleep(POSITION_POLL).await;
            }
        };
        if self.memory.applied() > position {
            return Ok(());
        }
        tokio::time::timeout(patience, reached).await.map_err(|_| {
            Problem::unavailable(
                format!(
                    "partition {} is at offset {}, short of the `Memgen-Min-Position` {position}",
                    self.partition,
                    self.memory.applied()
                ),
                RETRY_AFTER_SECONDS,
            )
        })
    }
}
