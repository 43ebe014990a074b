//! Follows what lies in `/view`, and makes the [`View`] of it.
//!
//! A recursive watch says which nodes changed; each is read then. What is known is as new as the last read, and a node that changes again is read again, so the order
//! in which watches and answers arrive does not matter. A watch does not outlive its connection, so after each one everything is read anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::try_join_all};
use tokio::{sync::mpsc, time::sleep};
use tracing::{debug, info, warn};
use zookeeper_client::{AddWatchMode, Client, Error, EventType, SessionState, Stat, WatchedEvent};

use super::{
    Shared,
    layout::{self, HolderEntry, MemberEntry, Place, PlanEntry},
    locks, membership,
    session::Session,
};
use crate::{
    coordinator::{Holder, Node, Plan, View},
    log::TopicPartition,
};

/// How long until it is tried again, if reading fails although there is a connection.
const RETRY: Duration = Duration::from_millis(100);

/// Follows by one session, until it is dropped.
pub(super) async fn follow(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    look_again: &mut mpsc::UnboundedReceiver<Place>,
) {
    let Ok(mut state) = session.client().map(|client| client.state_watcher()) else {
        return;
    };
    loop {
        let Err(error) = follow_connection(shared, session, look_again).await;
        debug!(%error, "the view is no longer followed");
        shared.disconnected();
        while state.state() != SessionState::SyncConnected {
            state.changed().await;
        }
        if !matches!(error, Error::ConnectionLoss | Error::Custom(_)) {
            warn!(%error, "the view can't be read");
            sleep(RETRY).await;
        }
    }
}

async fn follow_connection(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    look_again: &mut mpsc::UnboundedReceiver<Place>,
) -> Result<Infallible, Error> {
    let client = session.client()?;
    let mut watcher = client
        .watch(layout::VIEW, AddWatchMode::PersistentRecursive)
        .await?;
    // Another server may be behind the one that was asked before.
    client.sync("/").await?;
    let mut followed = Followed::default();
    let held = shared.claims.held(|_| true);
    let all = list(&client).await?;
    followed.replace(shared, read(&client, all).await?);
    settle(shared, session, &followed, held).await?;
    loop {
        let mut changed = Changed::default();
        tokio::select! {
            event = watcher.changed() => changed.add(&event)?,
            Some(place) = look_again.recv() => changed.look_at(place),
        }
        // Before the events that are there already: that of a lock arrives before this process knows that it has it.
        let mut held = shared.claims.held(|_| true);
        while let Some(event) = watcher.changed().now_or_never() {
            changed.add(&event)?;
        }
        while let Ok(place) = look_again.try_recv() {
            changed.look_at(place);
        }
        held.retain(|(partition, _)| changed.has(partition));
        let mut seen = read(&client, changed.places).await?;
        seen.extend(changed.gone.into_iter().map(|place| (place, None)));
        followed.change(shared, seen);
        settle(shared, session, &followed, held).await?;
    }
}

/// What is to be read, and which locks are gone. That is told by the event alone: whoever is next waits for an answer less. Members and the planner come and go seldom.
#[derive(Default)]
struct Changed {
    places: BTreeSet<Place>,
    gone: BTreeSet<Place>,
}

impl Changed {
    fn look_at(&mut self, place: Place) {
        self.gone.remove(&place);
        self.places.insert(place);
    }

    fn has(&self, partition: &TopicPartition) -> bool {
        let lock = Place::Lock(partition.clone());
        self.places.contains(&lock) || self.gone.contains(&lock)
    }

    /// The last event about a place says how it is. An answer shows what happened before it, and the events of that arrive before it does: so what is taken together ends with
    /// the newest thing that is known of a place.
    fn add(&mut self, event: &WatchedEvent) -> Result<(), Error> {
        if event.event_type == EventType::Session {
            return Err(Error::ConnectionLoss);
        }
        match Place::of(&event.path) {
            Some(place @ Place::Lock(_)) if event.event_type == EventType::NodeDeleted => {
                self.places.remove(&place);
                self.gone.insert(place);
            }
            Some(place) => self.look_at(place),
            None => {}
        }
        Ok(())
    }
}

/// All that there is.
async fn list(client: &Client) -> Result<BTreeSet<Place>, Error> {
    let (members, topics) = futures_util::future::try_join(
        client.list_children(layout::MEMBERS),
        client.list_children(layout::LOCKS),
    )
    .await?;
    let mut places = BTreeSet::from([Place::Plan, Place::Planner]);
    places.extend(members.into_iter().map(Place::Member));
    let paths: Vec<String> = topics
        .iter()
        .map(|topic| format!("{}/{topic}", layout::LOCKS))
        .collect();
    let numbers = try_join_all(paths.iter().map(|path| client.list_children(path))).await?;
    for (path, numbers) in paths.iter().zip(numbers) {
        let locks = numbers.iter().map(|number| format!("{path}/{number}"));
        places.extend(locks.filter_map(|path| Place::of(&path)));
    }
    Ok(places)
}

type Read = Vec<(Place, Option<(Vec<u8>, Stat)>)>;

async fn read(client: &Client, places: BTreeSet<Place>) -> Result<Read, Error> {
    let reads = places.into_iter().map(|place| async {
        match client.get_data(&place.path()).await {
            Ok(found) => Ok((place, Some(found))),
            Err(Error::NoNode) => Ok((place, None)),
            Err(error) => Err(error),
        }
    });
    try_join_all(reads).await
}

/// What is known beyond the view: whose the ephemeral nodes are.
#[derive(Default)]
struct Followed {
    /// The session that announced each node.
    members: BTreeMap<String, i64>,
    /// The session that holds each lock, and the transaction that made it.
    locks: BTreeMap<TopicPartition, (i64, i64)>,
}

/// One change of the view.
enum Change {
    Member(String, Option<Box<Node>>),
    Lock(TopicPartition, Option<Holder>),
    Planner(Option<String>),
    Plan(Plan),
}

impl Change {
    /// Makes it: whether it was one.
    fn make(self, view: &mut Arc<View>) -> bool {
        let is_there = match &self {
            Self::Member(id, node) => view.nodes.get(id) == node.as_deref(),
            Self::Lock(partition, holder) => view.holders.get(partition) == holder.as_ref(),
            Self::Planner(planner) => view.planner == *planner,
            Self::Plan(plan) => view.plan == *plan,
        };
        if is_there {
            return false;
        }
        let view = Arc::make_mut(view);
        match self {
            Self::Member(id, Some(node)) => drop(view.nodes.insert(id, *node)),
            Self::Member(id, None) => drop(view.nodes.remove(&id)),
            Self::Lock(partition, Some(holder)) => drop(view.holders.insert(partition, holder)),
            Self::Lock(partition, None) => drop(view.holders.remove(&partition)),
            Self::Planner(planner) => view.planner = planner,
            Self::Plan(plan) => view.plan = plan,
        }
        true
    }
}

impl Followed {
    /// What was read is all there is.
    fn replace(&mut self, shared: &Shared, read: Read) {
        let there: BTreeSet<Place> = read.iter().map(|(place, _)| place.clone()).collect();
        let changes: Vec<Change> = read
            .into_iter()
            .filter_map(|(place, found)| self.note(&place, found))
            .collect();
        shared.view.send_modify(|view| {
            let gone = |view: &View| {
                let members = view.nodes.keys().cloned().map(Place::Member);
                let locks = view.holders.keys().cloned().map(Place::Lock);
                let all = members.chain(locks).filter(|place| !there.contains(place));
                all.collect::<Vec<_>>()
            };
            for place in gone(view) {
                match place {
                    Place::Member(id) => Change::Member(id, None).make(view),
                    Place::Lock(partition) => Change::Lock(partition, None).make(view),
                    Place::Plan | Place::Planner => false,
                };
            }
            for change in changes {
                change.make(view);
            }
            Arc::make_mut(view).connected = true;
        });
    }

    /// What was read changed.
    fn change(&mut self, shared: &Shared, read: Read) {
        let changes: Vec<Change> = read
            .into_iter()
            .filter_map(|(place, found)| self.note(&place, found))
            .collect();
        shared.view.send_if_modified(|view| {
            let mut any = false;
            for change in changes {
                any |= change.make(view);
            }
            any
        });
    }

    fn note(&mut self, place: &Place, found: Option<(Vec<u8>, Stat)>) -> Option<Change> {
        fn parsed<T: serde::de::DeserializeOwned>(place: &Place, bytes: &[u8]) -> Option<T> {
            let parsed = layout::from_bytes(bytes);
            if parsed.is_none() {
                warn!(
                    path = place.path(),
                    "another hand wrote here; it is passed over"
                );
            }
            parsed
        }
        match place {
            Place::Member(id) => {
                let entry = found.and_then(|(bytes, stat)| {
                    let entry: MemberEntry = parsed(place, &bytes)?;
                    Some((entry, stat.ephemeral_owner))
                });
                let entry = entry.filter(|(entry, _)| entry.node.id == *id);
                match &entry {
                    Some((_, session)) => drop(self.members.insert(id.clone(), *session)),
                    None => drop(self.members.remove(id)),
                }
                Some(Change::Member(
                    id.clone(),
                    entry.map(|(entry, _)| Box::new(entry.node)),
                ))
            }
            Place::Lock(partition) => {
                let Some((bytes, stat)) = found else {
                    self.locks.remove(partition);
                    return Some(Change::Lock(partition.clone(), None));
                };
                let made = (stat.ephemeral_owner, stat.czxid);
                self.locks.insert(partition.clone(), made);
                // One that can't be read is a lock all the same.
                let entry = parsed(place, &bytes).unwrap_or_else(|| HolderEntry {
                    node: String::new(),
                    incarnation: 0,
                });
                let holder = Holder {
                    node: entry.node,
                    incarnation: entry.incarnation,
                    lock: stat.czxid.cast_unsigned(),
                };
                Some(Change::Lock(partition.clone(), Some(holder)))
            }
            Place::Planner => {
                let entry = found.and_then(|(bytes, _)| parsed::<HolderEntry>(place, &bytes));
                Some(Change::Planner(entry.map(|entry| entry.node)))
            }
            Place::Plan => {
                let (bytes, stat) = found?;
                let entry: PlanEntry = parsed(place, &bytes)?;
                Some(Change::Plan(entry.into_plan(stat.version)))
            }
        }
    }
}

/// What follows from what was seen for what this process has, or should have. `held` are the locks that it had before that was read.
async fn settle(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    followed: &Followed,
    held: Vec<(TopicPartition, Arc<locks::Claim>)>,
) -> Result<(), Error> {
    for (partition, claim) in held {
        let of_this_session = Arc::ptr_eq(&claim.session, session);
        let seen = followed.locks.get(&partition).copied();
        let is_there = claim.czxid().map(|czxid| (session.id, czxid)) == seen;
        if of_this_session && !is_there {
            info!(%partition, "the lock was taken away");
            shared.claims.lose(&partition, &claim);
        }
    }
    let client = session.client()?;
    for (partition, (owner, czxid)) in &followed.locks {
        if *owner == session.id && !shared.claims.contains(partition) {
            debug!(%partition, "a lock that nobody wants any more");
            locks::remove(&client, partition, *czxid).await?;
        }
    }
    let Some(me) = shared.member() else {
        return Ok(());
    };
    if followed.members.get(&me.id) != Some(&session.id) {
        shared.member_changed.notify_one();
    } else if shared.view.borrow().planner.is_none() {
        membership::contend_for_planner(shared, session).await?;
    }
    Ok(())
}
