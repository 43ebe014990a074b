//! One client, and what it was told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use memgen::testing::{Cluster, Reply, Request};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{
    plan::{Act, Kind, Step},
    service::{Appends, Flag, Pile},
};

/// How long a client waits for an answer before it asks elsewhere, or gives up.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often it asks.
const TRIES: usize = 6;
/// The answer while an earlier request with the same id is carried out: what comes of it is known later.
const STILL_RUNS: u16 = 409;

/// What a client did, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Did {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) item: Option<u64>,
    pub(super) names: BTreeSet<&'static str>,
    pub(super) told: Told,
    /// How old what it was shown may be; none if it may not be old at all.
    pub(super) age_max: Option<Duration>,
    /// An item that it must be shown.
    pub(super) own: Option<u64>,
}

/// What it was told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// It happened, and these are the piles.
    Seen(BTreeMap<String, Vec<u64>>),
    /// It did not happen.
    Refused(u16, String),
    /// Nobody knows.
    Unknown,
}

/// What its client knows of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may be there or not.
    Unknown,
    /// It was put there.
    There,
    /// It was deleted.
    Gone,
    /// It had been put there, and was not found.
    Lost,
    /// It had been deleted, and was found.
    Back,
}

/// All that a client did.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub(super) dids: Vec<Did>,
    pub(super) flags: BTreeMap<u64, Fate>,
    /// What it has appended last to each pile, and where.
    written: BTreeMap<&'static str, (String, u64)>,
}

/// Does all steps.
pub(super) async fn client(cluster: Cluster, steps: Vec<Step>, number: usize) -> Deeds {
    let mut deeds = Deeds::default();
    for (index, step) in steps.into_iter().enumerate() {
        let mut asks = Asks {
            cluster: &cluster,
            node: step.node,
            id: format!("c{number}-{index}"),
        };
        match step.act {
            Act::Raise { item } => asks.raise(item, &mut deeds.flags).await,
            Act::Lower => asks.lower(&mut deeds.flags).await,
            Act::List => asks.list(&mut deeds.flags).await,
            act => {
                let did = asks.act(&act, &mut deeds.written).await;
                deeds.dids.push(did);
            }
        }
        sleep(step.rest).await;
    }
    deeds
}

struct Asks<'c> {
    cluster: &'c Cluster,
    node: usize,
    id: String,
}

impl Asks<'_> {
    /// Puts a flag there.
    async fn raise(&mut self, item: u64, flags: &mut BTreeMap<u64, Fate>) {
        flags.insert(item, Fate::Unknown);
        let path = format!("/flags/{item}");
        let put = |cluster: &Cluster, node| cluster.node(node).put(&path).json(&Flag { item });
        if self
            .ask(true, put)
            .await
            .is_some_and(|reply| reply.status() < 300)
        {
            flags.insert(item, Fate::There);
        }
    }

    /// Deletes the last flag that is there.
    async fn lower(&mut self, flags: &mut BTreeMap<u64, Fate>) {
        let mut there = flags.iter().rev().filter(|(_, fate)| **fate == Fate::There);
        let Some((&item, _)) = there.next() else {
            return;
        };
        let path = format!("/flags/{item}");
        let reply = self.ask(true, |cluster, node| cluster.node(node).delete(&path));
        let fate = match reply.await.map(|reply| reply.status()) {
            Some(404) => Fate::Lost,
            Some(200..300) => Fate::Gone,
            _ => Fate::Unknown,
        };
        flags.insert(item, fate);
    }

    /// Lists all flags, and looks whether its own are among them as they should be.
    async fn list(&mut self, flags: &mut BTreeMap<u64, Fate>) {
        let get = |cluster: &Cluster, node| cluster.node(node).get("/flags?limit=1000");
        let reply = self.ask(true, get).await;
        // One of the partitions may be away.
        let Some(reply) = reply.filter(|reply| reply.status() == 200) else {
            return;
        };
        let shown = shown(&reply);
        for (item, fate) in flags {
            *fate = match (*fate, shown.contains(item)) {
                (Fate::There, false) => Fate::Lost,
                (Fate::Gone, true) => Fate::Back,
                (fate, _) => fate,
            };
        }
    }

    async fn act(&mut self, act: &Act, written: &mut BTreeMap<&'static str, (String, u64)>) -> Did {
        let mut did = Did {
            began: Instant::now(),
            ended: Instant::now(),
            item: None,
            names: BTreeSet::new(),
            told: Told::Unknown,
            age_max: None,
            own: None,
        };
        match act {
            Act::Raise { .. } | Act::Lower | Act::List => {}
            Act::Append { name, item, once } => {
                did.item = Some(*item);
                did.names.insert(name);
                let path = format!("/piles/{name}/items");
                let reply = self
                    .ask(*once, |cluster, node| {
                        cluster.node(node).post(&path).json(item)
                    })
                    .await;
                let position = reply.as_ref().and_then(|reply| {
                    let position = reply.header("memgen-position")?;
                    (reply.status() == 200).then(|| position.to_owned())
                });
                if let Some(position) = position {
                    written.insert(name, (position, *item));
                }
                did.told = told(reply, |reply| vec![reply.json::<Pile>()]);
            }
            Act::Transact { names, item } => {
                did.item = Some(*item);
                did.names.extend(names);
                let appends = Appends {
                    names: names.iter().map(ToString::to_string).collect(),
                    item: *item,
                };
                let reply = self
                    .ask(true, |cluster, node| {
                        cluster.node(node).post("/appends").json(&appends)
                    })
                    .await;
                did.told = told(reply, Reply::json::<Vec<Pile>>);
            }
            Act::Look { names } => {
                did.names.extend(names);
                let reply = self
                    .ask(false, |cluster, node| {
                        cluster.node(node).post("/looks").json(names)
                    })
                    .await;
                did.told = told(reply, Reply::json::<Vec<Pile>>);
            }
            Act::Read { name, kind } => {
                did.names.insert(name);
                let own = written.get(name).filter(|_| *kind == Kind::Own);
                did.own = own.map(|(_, item)| *item);
                did.age_max = match kind {
                    Kind::Owner | Kind::Strict => None,
                    Kind::Bounded(bound) => Some(*bound),
                    Kind::Replica | Kind::Own => Some(Duration::MAX),
                };
                let path = format!("/piles/{name}");
                let reply = self
                    .ask(false, |cluster, node| {
                        let get = cluster.node(node).get(&path);
                        match kind {
                            Kind::Owner => get,
                            Kind::Strict => get.header("memgen-read", "strict"),
                            Kind::Replica => get.header("memgen-read", "replica"),
                            Kind::Bounded(bound) => get
                                .header("memgen-read", "replica")
                                .header("memgen-max-staleness-ms", bound.as_millis().to_string()),
                            Kind::Own => {
                                let get = get.header("memgen-read", "replica");
                                match own {
                                    Some((position, _)) => {
                                        get.header("memgen-min-position", position)
                                    }
                                    None => get,
                                }
                            }
                        }
                    })
                    .await;
                did.told = match reply {
                    Some(reply) if reply.status() == 404 => {
                        Told::Seen(BTreeMap::from([((*name).to_owned(), Vec::new())]))
                    }
                    reply => told(reply, |reply| vec![reply.json::<Pile>()]),
                };
            }
        }
        did.ended = Instant::now();
        did
    }

    /// Asks until there is an answer that says something, at another node each time; only once, if it must not happen twice.
    async fn ask(
        &mut self,
        once: bool,
        request: impl Fn(&Cluster, usize) -> Request,
    ) -> Option<Reply> {
        for _ in 0..if once { TRIES } else { 1 } {
            let mut request = request(self.cluster, self.node);
            if once {
                request = request.once(&self.id);
            }
            let answered = timeout(PATIENCE, request.try_send()).await;
            if let Ok(Ok(reply)) = answered
                && reply.status() < 500
                && reply.status() != STILL_RUNS
            {
                return Some(reply);
            }
            self.node = (self.node + 1) % self.cluster.size();
            sleep(Duration::from_millis(100)).await;
        }
        None
    }
}

/// The flags that a list shows.
pub(super) fn shown(list: &Reply) -> BTreeSet<u64> {
    let page = list.json::<Value>();
    let items = page["items"].as_array().into_iter().flatten();
    items.filter_map(|flag| flag["item"].as_u64()).collect()
}

fn told(reply: Option<Reply>, piles: impl FnOnce(&Reply) -> Vec<Pile>) -> Told {
    match reply {
        Some(reply) if reply.status() == 200 => {
            let piles = piles(&reply).into_iter();
            Told::Seen(piles.map(|pile| (pile.name, pile.items)).collect())
        }
        Some(reply) => Told::Refused(reply.status(), reply.text()),
        None => Told::Unknown,
    }
}
