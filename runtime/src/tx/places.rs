//! Where partitions are, of whatever state: their writers in this node, or peers.

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{
    Lost, Part,
    courier::{Message, path, post},
    reading::are_still_here,
};
use crate::{
    cluster::{Pause, Peer},
    config::Config,
    log::{Ack, TopicPartition},
    mailbox::{Job, Refusal, StreamJob, TxJob},
    partitions::{Owner, Partitions},
    problem::Problem,
    state::{Definition, State},
};

/// The partitions of some state, without its type.
pub(crate) trait Places: Send + Sync {
    /// How many partitions there are.
    fn count(&self) -> u32;

    /// The writer of a partition, once this node owns it.
    fn serving(&self, number: u32) -> BoxFuture<'_, Box<dyn Inbox>>;

    /// When the writes of the state count.
    fn ack(&self, config: &Config) -> Ack;

    /// Whether this node owns a partition at this moment.
    fn is_here(&self, number: u32) -> bool;

    /// The writer of a partition, if this node serves it at this moment.
    fn served_here(&self, number: u32) -> Option<Box<dyn Inbox>>;

    /// Who owns a partition, once somebody does.
    fn place(&self, number: u32, deadline: Instant) -> BoxFuture<'_, Result<Place, Lost>>;

    /// Whether what was read in a partition is still so, and nobody is about to write it.
    fn are_still<'a>(
        &'a self,
        number: u32,
        part: &'a Part,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<bool, Problem>>;
}

/// Where a partition is.
pub(crate) enum Place {
    Here(Box<dyn Inbox>),
    Peer(Peer),
}

/// The queue of a writer, without its type.
pub(crate) trait Inbox: Send + Sync {
    fn send(&self, job: TxJob) -> Result<(), Refusal>;

    /// Hands over what concerns streams.
    fn stream(&self, job: StreamJob) -> Result<(), Refusal>;

    /// Waits until the writer takes no more jobs.
    fn closed(&self) -> BoxFuture<'_, ()>;
}

impl<S: State> Inbox for crate::mailbox::Mailbox<S> {
    fn send(&self, job: TxJob) -> Result<(), Refusal> {
        Self::send(self, Job::Tx(job))
    }

    fn stream(&self, job: StreamJob) -> Result<(), Refusal> {
        Self::send(self, Job::Stream(job))
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::closed(self))
    }
}

impl<S: State> Places for Partitions<S> {
    fn count(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("partitions are counted in a u32")
    }

    fn serving(&self, number: u32) -> BoxFuture<'_, Box<dyn Inbox>> {
        Box::pin(async move {
            let here = self.slots[number as usize].serving().await;
            Box::new(here.mailbox.clone()) as Box<dyn Inbox>
        })
    }

    fn ack(&self, config: &Config) -> Ack {
        let Definition { topic, ack, .. } = S::DEFINITION;
        config.ack.of(topic, ack, &config.log)
    }

    fn is_here(&self, number: u32) -> bool {
        let slot = self.slots.get(number as usize);
        slot.is_some_and(|slot| slot.here().is_some())
    }

    fn served_here(&self, number: u32) -> Option<Box<dyn Inbox>> {
        let here = self.slots.get(number as usize)?.served_here()?;
        Some(Box::new(here.mailbox.clone()))
    }

    fn place(&self, number: u32, deadline: Instant) -> BoxFuture<'_, Result<Place, Lost>> {
        Box::pin(async move {
            let slot = self.slots.get(number as usize);
            let slot = slot.ok_or_else(|| Lost(format!("there is no partition {number}")))?;
            match slot.owner(deadline).await {
                Ok(Owner::Here(here)) => Ok(Place::Here(Box::new(here.mailbox.clone()))),
                Ok(Owner::Peer(peer)) => Ok(Place::Peer(peer)),
                Err(problem) => Err(Lost(problem.to_string())),
            }
        })
    }

    fn are_still<'a>(
        &'a self,
        number: u32,
        part: &'a Part,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<bool, Problem>> {
        Box::pin(async move {
            let slot = self.slots.get(number as usize);
            let slot = slot.ok_or_else(|| Problem::internal("there is no such partition"))?;
            let mut pause = Pause::new(deadline);
            loop {
                let answered = match slot.owner(deadline).await? {
                    Owner::Here(here) => are_still_here(&here, part, deadline).await,
                    Owner::Peer(peer) => {
                        let message = Message::AreStill(part.clone());
                        let (cluster, at) = (&slot.cluster, &slot.partition);
                        post(cluster, &peer, &path(at), at, &message, deadline).await
                    }
                };
                match answered {
                    Ok(are_still) => return Ok(are_still),
                    Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
                }
            }
        })
    }
}

/// Where a partition is; without waiting if it is here.
pub(super) async fn whereabouts(
    places: &dyn Places,
    to: &TopicPartition,
    deadline: Instant,
) -> Result<Place, Lost> {
    match places.served_here(to.partition) {
        Some(inbox) => Ok(Place::Here(inbox)),
        None => places.place(to.partition, deadline).await,
    }
}
