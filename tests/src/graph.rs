//! A load on the example `graph`, and what must come of it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Client, Places, Random,
    components::check_view,
    crowd::{Crowd, Tally, Told},
    insist::insist,
};

/// Vertices that clients connect and disconnect.
const VERTICES: u32 = 40;
/// Clients: each has some of all pairs of vertices to itself, and so knows which of them are connected.
const CLIENTS: u32 = 32;
/// So often of a hundred times a client connects; else it disconnects what it has connected. There are about as many edges as vertices then, so that components
/// come together and apart all the time.
const CONNECTS: u32 = 35;
/// A client rests for less than that between two requests.
const REST_MS_MAX: u32 = 50;
/// As long between two looks at everything.
const LOOK_MS_MAX: u32 = 20;

/// What they were told.
#[derive(Debug, Default)]
pub struct Done {
    /// The pairs that are connected.
    edges: BTreeSet<(u32, u32)>,
    /// How long each change took.
    pub waits: Vec<Duration>,
    /// How long each look took that was answered.
    pub looks: Vec<Duration>,
    /// Looks that were not answered: others changed too much, or nobody was there.
    pub unanswered: usize,
    /// What must not be.
    pub wrong: Vec<String>,
}

/// Starts clients that connect and disconnect at random, and one that looks at everything.
#[must_use]
pub fn start(places: &Places, random: &mut Random) -> Crowd<Done> {
    let mut crowd = Crowd::new();
    for number in 0..=CLIENTS {
        let client = One {
            number,
            node: number as usize % places.count(),
            places: places.clone(),
            random: random.split(),
            tally: crowd.tally(),
            done: Done::default(),
        };
        if number < CLIENTS {
            crowd.add(client.changes());
        } else {
            crowd.add(client.looks());
        }
    }
    crowd
}

impl Told for Done {
    fn add(&mut self, other: Self) {
        self.edges.extend(other.edges);
        self.waits.extend(other.waits);
        self.looks.extend(other.looks);
        self.unanswered += other.unanswered;
        self.wrong.extend(other.wrong);
    }
}

impl Done {
    /// The edges are those that clients were told of, and all else agrees with them.
    pub async fn check(&mut self, client: &Client) {
        match look(client).await {
            Some(Ok(edges)) if edges == self.edges => {}
            Some(Ok(edges)) => {
                let what = format!("the edges are {edges:?}, not {:?}", self.edges);
                self.wrong.push(what);
            }
            Some(Err(what)) => self.wrong.push(what),
            None => self
                .wrong
                .push("nobody answers although all is quiet".to_owned()),
        }
    }
}

/// The edges, as of one moment, if there is an answer; or what is wrong with it.
async fn look(client: &Client) -> Option<Result<BTreeSet<(u32, u32)>, String>> {
    let all = json!({"vertices": (0..VERTICES).collect::<Vec<_>>()});
    let view = client.request("POST", "/view").json(&all).try_send().await;
    match view {
        Ok(view) if view.status == 200 => Some(check_view(&view.json())),
        Ok(view) if view.status == 503 => None,
        Ok(view) => Some(Err(format!("{view:?}"))),
        Err(_) => None,
    }
}

/// One client.
struct One {
    number: u32,
    places: Places,
    node: usize,
    random: Random,
    tally: Tally,
    done: Done,
}

impl One {
    async fn goes_on(&mut self, rest_ms_max: u32) -> bool {
        self.tally.goes_on(&mut self.random, rest_ms_max).await
    }

    /// Its own pairs.
    fn pairs(&self) -> Vec<(u32, u32)> {
        let all = (0..VERTICES).flat_map(|one| (one + 1..VERTICES).map(move |other| (one, other)));
        let all = all.zip((0..CLIENTS).cycle());
        all.filter(|(_, client)| *client == self.number)
            .map(|(pair, _)| pair)
            .collect()
    }

    async fn changes(mut self) -> Done {
        let pairs = self.pairs();
        let mut asked = 0;
        while self.goes_on(REST_MS_MAX).await {
            let connected = |pair: &(u32, u32)| self.done.edges.contains(pair);
            let (has, lacks): (Vec<_>, Vec<_>) = pairs.iter().copied().partition(connected);
            let connects = has.is_empty() || self.random.below(100) < CONNECTS;
            let (word, from) = if connects {
                ("connect", lacks)
            } else {
                ("disconnect", has)
            };
            let bound = u32::try_from(from.len()).expect("a few");
            if bound == 0 {
                continue;
            }
            let (one, other) = from[self.random.below(bound) as usize];
            asked += 1;
            let path = format!("/{word}/{one}/{other}");
            let id = format!("{}-{asked}", self.number);
            let began = Instant::now();
            let reply = insist(&self.places, self.node, &path, None, &id).await;
            self.done.waits.push(began.elapsed());
            if reply.status != 303 {
                self.done.wrong.push(format!("{path}: {reply:?}"));
            } else if connects {
                self.done.edges.insert((one, other));
            } else {
                self.done.edges.remove(&(one, other));
            }
            self.tally.changed();
        }
        self.done
    }

    async fn looks(mut self) -> Done {
        while self.goes_on(LOOK_MS_MAX).await {
            let client = self.places.client(self.node).await;
            let began = Instant::now();
            match look(&client).await {
                None => self.done.unanswered += 1,
                Some(outcome) => {
                    self.done.looks.push(began.elapsed());
                    self.done.wrong.extend(outcome.err());
                    self.tally.looked();
                }
            }
            // At each node in turn.
            self.node = (self.node + 1) % self.places.count();
        }
        self.done
    }
}
