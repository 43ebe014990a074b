//! A partition as it is looked at from outside: `/status`, `/readyz`.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    cluster::Part, memory::Summary, partitions::Slot, snapshot::Keeper, state::State, tx::InDoubt,
};

/// A partition as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PartitionStatus {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    /// What this node is to it.
    pub(crate) phase: PartitionPhase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) halted_because: Option<String>,
    /// The node that owns it, if any does.
    pub(crate) owner: Option<String>,
    /// The epoch of the last owner that this node saw in the log.
    pub(crate) epoch: i64,
    /// When this node took it over for the last time, in seconds since the Unix epoch; 0 if it never did.
    pub(crate) taken_over_seconds: i64,
    /// How old what a standby shows may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) staleness_ms: Option<u64>,
    /// The nodes that follow it, by the plan, as far as they are there.
    pub(crate) standbys: Vec<String>,
    pub(crate) keys: usize,
    pub(crate) bytes: i64,
    /// The offset after the last applied record.
    pub(crate) position: u64,
    /// What the entities add up to at this position, in hexadecimal: the same at each node.
    pub(crate) digest: String,
    pub(crate) queue: usize,
    /// Transactions that it has prepared as the owner, and of which it has heard nothing for some time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) in_doubt: Vec<InDoubtStatus>,
    /// What this node keeps of it for its next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<SnapshotStatus>,
}

/// A transaction in doubt as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InDoubtStatus {
    transaction: String,
    /// The partition that knows what became of it.
    home: String,
    age_ms: u64,
}

impl From<InDoubt> for InDoubtStatus {
    fn from(in_doubt: InDoubt) -> Self {
        Self {
            transaction: in_doubt.id.to_string(),
            home: in_doubt.home.to_string(),
            age_ms: u64::try_from(in_doubt.age.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A snapshot as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SnapshotStatus {
    /// The offset after the last record that it shows.
    position: u64,
    bytes: u64,
    /// How long ago the partition was as it shows it.
    age_seconds: Option<u64>,
}

impl SnapshotStatus {
    fn of(keeper: &Keeper) -> Option<Self> {
        let kept = keeper.kept()?;
        let age = kept.current.age_at(&keeper.common.clock.now());
        Some(Self {
            position: kept.position,
            bytes: kept.bytes,
            age_seconds: age.map(|age| age.as_secs()),
        })
    }
}

impl PartitionStatus {
    /// Whether this node has what it shall have of it.
    pub(crate) fn is_ready(&self) -> bool {
        match self.phase {
            PartitionPhase::Serving | PartitionPhase::Standby | PartitionPhase::Elsewhere => true,
            PartitionPhase::Replaying | PartitionPhase::Halted => false,
        }
    }
}

/// What this node is to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PartitionPhase {
    /// It reads the log, to follow or to own it.
    Replaying,
    /// It owns it.
    Serving,
    /// It follows it.
    Standby,
    /// It has nothing of it.
    Elsewhere,
    /// It can't read the log.
    Halted,
}

impl PartitionPhase {
    /// The word that people read.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Replaying => "replaying",
            Self::Serving => "serving",
            Self::Standby => "standby",
            Self::Elsewhere => "elsewhere",
            Self::Halted => "halted",
        }
    }
}

/// A partition to be watched.
pub(crate) trait Watched: Send + Sync {
    fn status(&self) -> PartitionStatus;

    /// How many entities this node has of it, and the bytes of their values.
    fn size(&self) -> (usize, i64);

    /// Who keeps its snapshot.
    fn keeper(&self) -> Option<&Arc<Keeper>>;

    /// Brings those of its metrics up to date that nothing but time changes.
    fn measure(&self);
}

impl<S: State> Watched for Arc<Slot<S>> {
    fn keeper(&self) -> Option<&Arc<Keeper>> {
        self.keeper.as_ref()
    }

    fn measure(&self) {
        let status = self.status();
        let lag = status.staleness_ms.map(Duration::from_millis);
        self.metrics.lag.set(lag.unwrap_or_default().as_secs_f64());
        self.metrics
            .halted
            .set(status.halted_because.is_some().into());
        self.metrics.ownerless.set(self.ownerless().as_secs_f64());
        let in_doubt = i64::try_from(status.in_doubt.len()).unwrap_or(i64::MAX);
        self.metrics.tx_in_doubt.set(in_doubt);
        if self.here().is_none() {
            self.metrics.owns_nothing();
        }
    }

    fn size(&self) -> (usize, i64) {
        let here = self.here().map(|here| here.memory.clone());
        let memory = here.or_else(|| self.copy().map(|copy| copy.memory.clone()));
        memory.map_or((0, 0), |memory| (memory.len(), memory.summary().bytes))
    }

    fn status(&self) -> PartitionStatus {
        let view = self.cluster.now();
        let (here, copy) = (self.here(), self.copy());
        let halted = self.halted();
        let serves = here
            .as_ref()
            .is_some_and(|here| here.phase.borrow().answers());
        let memory = here.as_ref().map(|here| &here.memory);
        let memory = memory.or(copy.as_ref().map(|copy| &copy.memory));
        let summary = memory.map_or_else(Summary::default, |memory| memory.summary());
        let assignment = view.plan.assignments.get(&self.partition);
        let phase = if halted.is_some() {
            PartitionPhase::Halted
        } else if serves {
            PartitionPhase::Serving
        } else {
            match (view.part(&self.cluster.me, &self.partition), &copy) {
                (Part::Standby, Some(_)) => PartitionPhase::Standby,
                (Part::Nothing, _) if assignment.is_some() => PartitionPhase::Elsewhere,
                _ => PartitionPhase::Replaying,
            }
        };
        let owner = view.holder(&self.partition);
        let owner = owner.map(|holder| holder.node.clone());
        // The plan may be behind what happened: a standby that has taken over follows no more, and neither does one that is gone.
        let follows = |standby: &&String| {
            Some(*standby) != owner.as_ref() && view.nodes.contains_key(*standby)
        };
        let standbys = assignment.map_or(&[][..], |assignment| &assignment.standbys);
        PartitionStatus {
            topic: self.partition.topic.to_string(),
            partition: self.partition.partition,
            phase,
            halted_because: halted.map(|why| (*why).clone()),
            standbys: standbys.iter().filter(follows).cloned().collect(),
            owner,
            epoch: self.metrics.epoch.get(),
            taken_over_seconds: self.metrics.taken_over.get(),
            staleness_ms: copy
                .as_ref()
                .filter(|_| phase == PartitionPhase::Standby)
                .map(|copy| u64::try_from(copy.age().as_millis()).unwrap_or(u64::MAX)),
            keys: memory.map_or(0, |memory| memory.len()),
            bytes: summary.bytes,
            position: summary.applied,
            digest: summary.shown_digest(),
            in_doubt: memory
                .filter(|_| serves)
                .map_or_else(Vec::new, |memory| memory.held().in_doubt())
                .into_iter()
                .map(InDoubtStatus::from)
                .collect(),
            queue: here.map_or(0, |here| here.mailbox.waiting()),
            snapshot: self.keeper.as_deref().and_then(SnapshotStatus::of),
        }
    }
}
