//! The feed of one partition, wherever the partition is: here, or at a peer, and at the next one once that has gone.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Asked, item::Item, local::Local, mark::Mark, relay::Relay};
use crate::{
    call::patiently,
    cluster::{Pause, Unanswered},
    node::Node,
    partitions::{Copy, Owner, Slot},
    position::ReadOptions,
    problem::Problem,
    state::State,
};

/// How long the node that a feed goes on at may lag behind the one where it was before.
const ARRIVE_MAX: Duration = Duration::from_secs(5);
/// How long a feed waits that ended as soon as it was found.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it looks whether it is there.
const ARRIVE_POLL: Duration = Duration::from_millis(5);

/// The feed of one partition.
pub(super) struct Follower<S: State> {
    node: Arc<Node>,
    slot: Arc<Slot<S>>,
    asked: Arc<Asked<S>>,
    source: Option<Source<S>>,
    /// How far it is, once all that was there was shown.
    mark: Option<Mark>,
    /// Whether any of what was there was shown.
    begun: bool,
    /// Whether the one who makes the feed now has shown anything.
    speaks: bool,
}

/// Who makes the feed.
enum Source<S: State> {
    Here(Box<Local<S>>),
    Peer(Box<Relay>),
}

impl<S: State> Source<S> {
    async fn next(&mut self) -> Option<Item> {
        match self {
            Self::Here(local) => local.next().await,
            Self::Peer(relay) => relay.next().await,
        }
    }
}

impl<S: State> Follower<S> {
    /// A feed that goes on after `from`, or begins with the values.
    pub(super) fn new(
        node: Arc<Node>,
        slot: Arc<Slot<S>>,
        asked: Arc<Asked<S>>,
        from: Option<Mark>,
    ) -> Self {
        Self {
            node,
            slot,
            asked,
            source: None,
            mark: from,
            begun: false,
            speaks: true,
        }
    }

    /// Finds who makes the feed.
    ///
    /// # Errors
    /// Nobody does before the time is up, or what the request asks for can't be.
    pub(super) async fn open(&mut self, deadline: Instant) -> Result<(), Problem> {
        let mut pause = Pause::new(deadline);
        loop {
            let (node, slot, asked) = (&self.node, &self.slot, &self.asked);
            let here = open_here(node, slot, asked, self.mark, deadline).await?;
            // Where this node has read too little of the log, the owner may know more.
            let is_enough = here.as_ref().is_some_and(Local::goes_on);
            let owner = if is_enough {
                None
            } else {
                Some(slot.owner(deadline).await?)
            };
            let unanswered = match owner {
                None | Some(Owner::Here(_)) => {
                    if let Some(local) = here {
                        self.source = Some(Source::Here(Box::new(local)));
                        return Ok(());
                    }
                    Unanswered::Moved
                }
                Some(Owner::Peer(peer)) => {
                    match Relay::open(node, peer, slot, asked, self.mark, deadline).await {
                        Ok(relay) => {
                            self.source = Some(Source::Peer(Box::new(relay)));
                            return Ok(());
                        }
                        Err(unanswered) => unanswered,
                    }
                }
            };
            pause.after(unanswered, &slot.cluster).await?;
        }
    }

    /// What comes next. It never ends; after [`Item::Lost`] nothing that comes next is of use.
    pub(super) async fn next(&mut self) -> Item {
        loop {
            let item = match &mut self.source {
                Some(source) => source.next().await,
                None => None,
            };
            if let Some(item) = item {
                (self.begun, self.speaks) = (true, true);
                self.mark = item.mark().or(self.mark);
                return item;
            }
            self.source = None;
            if !std::mem::take(&mut self.speaks) {
                tokio::time::sleep(PAUSE).await;
            }
            // Half of what was there, and then what is there now, would be no state of any time.
            if self.begun && self.mark.is_none() {
                return Item::Lost;
            }
            let patience = self.node.config.limits.request_timeout;
            if let Err(problem) = self.open(Instant::now() + patience).await {
                tracing::debug!(partition = %self.slot.partition, ?problem, "a feed waits");
                let (_, mut views) = self.slot.cluster.view();
                drop(tokio::time::timeout(ARRIVE_MAX, views.changed()).await);
            }
        }
    }
}

/// The feed of what this node has of a partition, if it has something that is as new as is asked for.
pub(super) async fn open_here<S: State>(
    node: &Node,
    slot: &Slot<S>,
    asked: &Asked<S>,
    from: Option<Mark>,
    deadline: Instant,
) -> Result<Option<Local<S>>, Problem> {
    if slot.halted().is_some() {
        return Ok(None);
    }
    let Some(copy) = slot.copy() else {
        return Ok(None);
    };
    let is_fit = match from {
        // It was new enough where the feed began, and goes on from there.
        Some(mark) => arrive(&copy, mark, deadline).await,
        None => is_fresh(slot, &copy, asked, deadline).await?,
    };
    let progress = node.config.limits.feed_keep_alive;
    let filter = || asked.filter.clone();
    Ok(is_fit.then(|| Local::new(copy.memory.clone(), filter(), from, progress)))
}

/// Waits until memory is where the feed was before. If it does not get there, the mark is one of another log: the recent changes say so.
async fn arrive<S: State>(copy: &Copy<S>, mark: Mark, deadline: Instant) -> bool {
    let until = deadline.min(Instant::now() + ARRIVE_MAX);
    let recent = copy.memory.recent();
    // Where the first changes of a record were shown, it is there as a whole.
    while recent.end() < mark {
        if recent.is_closed() {
            return false;
        }
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(ARRIVE_POLL).await;
    }
    true
}

/// Whether memory is as new as a `GET` with these headers wants it: what was acknowledged before is there, unless a replica may answer with what it has.
async fn is_fresh<S: State>(
    slot: &Slot<S>,
    copy: &Copy<S>,
    asked: &Asked<S>,
    deadline: Instant,
) -> Result<bool, Problem> {
    let mut options = ReadOptions::parse(&asked.headers)?;
    let keys = asked.filter.keys();
    let here = slot.here();
    let owned = here.filter(|here| here.phase.borrow().answers());
    let Some(here) = owned.filter(|_| !options.replica) else {
        if !options.replica {
            options.max_staleness = Some(Duration::ZERO);
        }
        let bounded = keys.filter(|_| options.replica);
        if !copy.satisfies(&options, bounded, deadline).await {
            return Ok(false);
        }
        // What was committed and is not shown yet comes, as at an owner.
        let held = copy.memory.held();
        let released = async {
            if let Some((from, to)) = keys.filter(|_| !options.replica) {
                held.released_within(from, to).await;
            }
        };
        return Ok(tokio::time::timeout_at(deadline, released).await.is_ok());
    };
    if let Some(position) = options.min_position(&slot.partition) {
        here.reach(position, deadline).await?;
    }
    match patiently(deadline, here.read(options.strict, keys, |_| ())).await {
        Ok(()) => Ok(true),
        Err(Unanswered::Refused(problem)) => Err(problem),
        Err(Unanswered::Moved | Unanswered::Undone(_) | Unanswered::Unknown) => Ok(false),
    }
}
