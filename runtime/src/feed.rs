//! Change feeds: `GET` of an entity or a collection as `text/event-stream` or by WebSocket, for states with `crud(…, watch)`.
//!
//! What a client is promised:
//!
//! - It gets the current value, or values, and then each change once, in the order of the log, per key. A change is one that counts: what is shown is acknowledged, or
//!   lies in the log where it will be. Writing the same value again is no change.
//! - Each event has an id, from which any node goes on: as `Last-Event-ID`, after a lost connection, a restart or a takeover. While its node lives, a feed goes on by itself
//!   where its partition goes.
//! - A feed that continues none begins with the event `reset`, before the current values: whoever has something from before forgets it. So does one whose id can't be gone
//!   on from, since too much has happened after it. Nothing is ever left out without this.
//!
//! [`Recent`] keeps the last changes of each partition in the memory of each node that follows it; `Memory::apply` adds to them, so owner and standby have the same.
//! A feed reads on from its mark there and queues nothing. `local` makes the feed of a partition of it; `relay` has a peer make it, where the partition is not followed
//! here; `follower` goes from one to the other; this module merges the partitions; `events` and `socket` write what comes of it.

mod events;
mod filter;
mod follower;
mod item;
mod local;
mod mark;
mod recent;
pub(crate) mod relay;
mod socket;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts as _, Query},
    http::{HeaderMap, HeaderName, header, request::Parts},
    response::Response,
};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::try_join_all,
    stream::{self, BoxStream, SelectAll},
};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Interval,
};

pub(crate) use self::recent::{History, Recent};
use self::{
    filter::Filter,
    follower::Follower,
    item::Item,
    mark::{Mark, id_of_all, id_of_one, mark_of_one, marks_of_all},
};
#[cfg(feature = "fuzzing")]
pub(crate) use self::{item::item_again, relay::request_again};
#[cfg(all(test, feature = "testing"))]
pub(crate) use self::{mark::Mark as FeedMark, recent::Unread};
use crate::{
    ambient::select,
    call::{Call, Halt},
    forward::Peers,
    list,
    mailbox::RETRY_AFTER_SECONDS,
    node::Node,
    partitions::Slot,
    position,
    problem::Problem,
    state::State,
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What all feeds of a node share.
pub(crate) struct Feeds {
    /// The way to the peers that make feeds for this node. Not that of requests, which a feed that nobody reads would hold up.
    pub(crate) peers: Peers,
    /// True once the node stops, which feeds do not outlive.
    pub(crate) stopped: watch::Receiver<bool>,
    places: Arc<Semaphore>,
}

impl Feeds {
    /// No more than so many partitions are watched at a time.
    pub(crate) fn new(peers: Peers, stopped: watch::Receiver<bool>, places: usize) -> Self {
        Self {
            peers,
            stopped,
            places: Arc::new(Semaphore::new(places)),
        }
    }
}

/// What a feed was asked for.
struct Asked<S: State> {
    filter: Filter<S>,
    /// How new what it begins with must be.
    headers: HeaderMap,
}

/// As what a client wants a feed, if it wants one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Events,
    Socket,
}

impl Form {
    /// As what this request wants a feed of a state, if the state has any.
    pub(crate) fn of<S: State>(parts: &Parts) -> Option<Self> {
        if !S::DEFINITION.is_watched() {
            return None;
        }
        let is = |name: HeaderName, value: &str| {
            let values = parts.headers.get_all(name).iter();
            let texts = values.filter_map(|text| text.to_str().ok());
            let mut words = texts.flat_map(|text| text.split(','));
            words.any(|word| {
                let mut word = word.split(';').map(str::trim);
                let named = word
                    .next()
                    .is_some_and(|word| word.eq_ignore_ascii_case(value));
                named
                    && !word.any(|weight| weight.trim_start_matches("q=").parse::<f64>() == Ok(0.0))
            })
        };
        if is(header::UPGRADE, "websocket") {
            return Some(Self::Socket);
        }
        is(header::ACCEPT, events::MEDIA_TYPE).then_some(Self::Events)
    }
}

/// The query of a feed. An empty value counts as one that is left out.
#[derive(Debug, Default, Deserialize)]
struct FeedQuery {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    last_event_id: String,
}

/// The feed of one key.
pub(crate) async fn of_key<S: State>(mut call: Call, form: Form) -> Result<Response, Halt> {
    let key = call.key::<S>()?;
    let query = query(&mut call).await?;
    let slot = call.node().partitions::<S>()?.locate(&key).clone();
    answer::<S>(call, form, Filter::Key(key), vec![slot], &query).await
}

/// The feed of all keys that begin with the prefix of the query.
pub(crate) async fn of_collection<S: State>(mut call: Call, form: Form) -> Result<Response, Halt> {
    let query = query(&mut call).await?;
    let prefix = format!("{}{}", list::within::<S>(&call)?, query.prefix);
    let slots = call.node().partitions::<S>()?.slots.clone();
    answer::<S>(call, form, Filter::prefix(prefix), slots, &query).await
}

async fn query(call: &mut Call) -> Result<FeedQuery, Problem> {
    let query = Query::<FeedQuery>::from_request_parts(call.parts_mut(), &()).await;
    let Query(query) = query.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    Ok(query)
}

async fn answer<S: State>(
    mut call: Call,
    form: Form,
    filter: Filter<S>,
    slots: Vec<Arc<Slot<S>>>,
    query: &FeedQuery,
) -> Result<Response, Halt> {
    // Before anything is done for it.
    let upgrade = match form {
        Form::Socket => Some(socket::upgrade(call.parts_mut()).await?),
        Form::Events => None,
    };
    let given = call.parts().headers.get(&LAST_EVENT_ID);
    let given = given
        .map(|id| id.to_str().unwrap_or("?"))
        .filter(|id| !id.is_empty());
    let last_id = given.unwrap_or(&query.last_event_id).to_owned();
    let mut headers = HeaderMap::new();
    for name in [
        position::READ,
        position::MIN_POSITION,
        position::MAX_STALENESS,
    ] {
        for value in call.parts().headers.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    let node = call.node().clone();
    let places = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    let places = node.feeds.places.clone().try_acquire_many_owned(places);
    let Ok(places) = places else {
        let detail = "this node has as many feeds as `--feeds-max` allows";
        return Err(Problem::unavailable(detail, RETRY_AFTER_SECONDS).into());
    };
    let asked = Arc::new(Asked { filter, headers });
    let mut feed = Feed::new(node, slots, asked, places);
    feed.open(&last_id, call.deadline()).await?;
    Ok(match upgrade {
        Some(upgrade) => socket::reply(upgrade, feed),
        None => events::reply(feed),
    })
}

/// What a client is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// An entity has this value.
    Value(Bytes, Option<String>),
    /// There is no entity with this key.
    Absent(Bytes, Option<String>),
    /// All values of a collection were shown.
    Current(String),
    /// What was shown before, if anything was, is not continued: the current values follow.
    Reset,
    /// Nothing happened, up to here.
    Progress(Option<String>),
}

impl Event {
    /// The word for it.
    fn name(&self) -> &'static str {
        match self {
            Self::Value(..) => "value",
            Self::Absent(..) => "absent",
            Self::Current(_) => "current",
            Self::Reset => "reset",
            Self::Progress(_) => "progress",
        }
    }
}

/// A feed, as a client sees it.
struct Feed<S: State> {
    node: Arc<Node>,
    slots: Vec<Arc<Slot<S>>>,
    asked: Arc<Asked<S>>,
    items: SelectAll<BoxStream<'static, (usize, Item)>>,
    /// How far each partition was shown, once all that was there was.
    marks: Vec<Option<Mark>>,
    ready: VecDeque<Event>,
    keep_alive: Interval,
    stopped: watch::Receiver<bool>,
    _places: OwnedSemaphorePermit,
    _open: OpenFeed,
}

impl<S: State> Feed<S> {
    fn new(
        node: Arc<Node>,
        slots: Vec<Arc<Slot<S>>>,
        asked: Arc<Asked<S>>,
        places: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            items: SelectAll::new(),
            marks: vec![None; slots.len()],
            ready: VecDeque::new(),
            keep_alive: every(node.config.limits.feed_keep_alive),
            stopped: node.feeds.stopped.clone(),
            _places: places,
            _open: OpenFeed::new(&node),
            node,
            slots,
            asked,
        }
    }

    /// Finds who makes the feeds of the partitions, from where the event with this id was; or from the beginning, if there is none.
    async fn open(&mut self, last_id: &str, deadline: tokio::time::Instant) -> Result<(), Problem> {
        if let Some(marks) = self.marks_in(last_id) {
            self.marks = marks.into_iter().map(Some).collect();
        } else {
            if !last_id.is_empty() {
                self.node.metrics.feed_resets.inc();
            }
            self.ready.push_back(Event::Reset);
        }
        let followers = self.followers();
        let opened = followers.into_iter().map(async |mut follower| {
            follower.open(deadline).await?;
            Ok::<_, Problem>(follower)
        });
        let opened = try_join_all(opened).await?;
        self.follow(opened);
        Ok(())
    }

    /// The marks in an id, if it is one of such a feed.
    fn marks_in(&self, id: &str) -> Option<Vec<Mark>> {
        match (&self.asked.filter, &*self.slots) {
            (Filter::Key(_), [slot]) => Some(vec![mark_of_one(&slot.partition, id)?]),
            _ => marks_of_all(S::DEFINITION.topic, self.slots.len(), id),
        }
    }

    /// The id of an event that is shown now, if all that was there was shown.
    fn id(&self) -> Option<String> {
        let marks: Option<Vec<Mark>> = self.marks.iter().copied().collect();
        Some(match (&self.asked.filter, &*self.slots, &*marks?) {
            (Filter::Key(_), [slot], [mark]) => id_of_one(&slot.partition, *mark),
            (_, _, marks) => id_of_all(S::DEFINITION.topic, marks.iter().copied()),
        })
    }

    fn followers(&self) -> Vec<Follower<S>> {
        let slots = self.slots.iter().zip(&self.marks);
        let follower = |(slot, mark): (&Arc<Slot<S>>, &Option<Mark>)| {
            let (node, asked) = (self.node.clone(), self.asked.clone());
            Follower::new(node, slot.clone(), asked, *mark)
        };
        slots.map(follower).collect()
    }

    fn follow(&mut self, followers: Vec<Follower<S>>) {
        self.items = SelectAll::new();
        for (number, follower) in followers.into_iter().enumerate() {
            let items = stream::unfold(follower, move |mut follower| async move {
                let item = follower.next().await;
                Some(((number, item), follower))
            });
            self.items.push(items.boxed());
        }
    }

    /// What comes next; none once the node stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            select! {
                () = async { drop(self.stopped.wait_for(|stopped| *stopped).await) } => return None,
                Some((partition, item)) = self.items.next() => self.show(partition, item),
                _ = self.keep_alive.tick() => return Some(Event::Progress(self.id())),
            }
        }
    }

    fn show(&mut self, partition: usize, item: Item) {
        let was_current = self.marks.iter().all(Option::is_some);
        if let Some(mark) = item.mark() {
            self.marks[partition] = Some(mark);
        }
        match item {
            Item::Value(data, _) => self.ready.push_back(Event::Value(data, self.id())),
            Item::Absent(data, _) => self.ready.push_back(Event::Absent(data, self.id())),
            Item::Current(_) | Item::Progress(_) => {
                if !was_current && let Some(id) = self.id() {
                    self.ready.push_back(Event::Current(id));
                }
            }
            Item::Lost => {
                self.node.metrics.feed_resets.inc();
                self.ready.push_back(Event::Reset);
                self.marks.fill(None);
                let followers = self.followers();
                self.follow(followers);
            }
        }
    }
}

/// Ticks from now on, but not now.
fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
    ticks.reset();
    ticks
}

/// Counts a feed for as long as it is open.
struct OpenFeed(prometheus::IntGauge);

impl OpenFeed {
    fn new(node: &Node) -> Self {
        node.metrics.feeds.inc();
        Self(node.metrics.feeds.clone())
    }
}

impl Drop for OpenFeed {
    fn drop(&mut self) {
        self.0.dec();
    }
}
