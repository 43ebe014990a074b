//! What clients do, and what happens to nodes.

use std::{ops::Range, time::Duration};

use fastrand::Rng;

/// For so long the log keeps all that was written. No partition is without an owner for longer.
pub(super) const KEPT: Duration = Duration::from_secs(60);
/// For so long it keeps what was deleted, from then on.
pub(super) const DELETIONS_KEPT: Duration = Duration::from_secs(10);
/// After that a deletion is nowhere in the log.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(80);

/// How fast clocks of machines go, and how far apart their wall clocks are: less than what rule 11 allows for, which is a fifth of [`DELETIONS_KEPT`].
const RATES: Range<f64> = 0.95..1.05;
const AHEAD_MS_MAX: i64 = 500;
/// How fast the clock goes by which the coordinator ends sessions: less than what leases allow for, which are 0.75 of the time-out.
const SESSION_RATES: Range<f64> = 0.8..1.3;

/// The names of piles: few, so that clients meet.
pub(super) const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A whole history, as it was meant.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What chance does within it.
    pub seed: u64,
    pub(super) nodes: usize,
    pub(super) clients: Vec<Vec<Step>>,
    pub(super) watches: Vec<Watch>,
    pub(super) harms: Vec<(Duration, Harm)>,
    /// How many records follow a snapshot until the next one.
    pub(super) snapshot_records: u64,
    /// Whether the log forgets all that it can before it is read once more.
    pub(super) ages: bool,
}

/// What somebody watches all the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    /// One pile, or all of them.
    pub(super) name: Option<&'static str>,
    /// The node that is asked first.
    pub(super) node: usize,
    /// How long a feed is taken, and how long none is until the next one.
    pub(super) stays: Duration,
    pub(super) rests: Duration,
}

/// One step of a client.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) node: usize,
    pub(super) act: Act,
    pub(super) rest: Duration,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Appends an item to one pile, with or without a request id.
    Append {
        name: &'static str,
        item: u64,
        once: bool,
    },
    /// Appends an item to several piles in one transaction.
    Transact { names: Vec<&'static str>, item: u64 },
    /// Reads several piles in one transaction.
    Look { names: Vec<&'static str> },
    /// Puts a flag there that never was.
    Raise { item: u64 },
    /// Deletes the flag that it put there last, if it knows that it did.
    Lower,
    /// Lists all flags.
    List,
    /// Reads one pile.
    Read { name: &'static str, kind: Kind },
}

/// How a pile is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// From the owner's memory.
    Owner,
    /// After the log was asked.
    Strict,
    /// From any copy.
    Replica,
    /// From any copy that is no older.
    Bounded(Duration),
    /// From any copy that shows what this client has written.
    Own,
}

/// What happens to nodes and the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    Crash(usize),
    Restart {
        node: usize,
        disk: Disk,
    },
    Stop(usize),
    Drain(usize),
    Pause(usize),
    Partition(usize, usize),
    Cut(usize, usize),
    Break(usize, usize),
    NoLog(usize),
    NoCoordinator(usize),
    Expire(usize),
    Full,
    Room,
    LoseAck,
    /// Many, one after the other.
    LoseAcks,
    FailAppend,
    FullDisk(usize),
    /// A machine has no memory left, or none of them has.
    NoMemory(Option<usize>),
    /// How fast its clocks go, and by how much the wall clock is ahead.
    Clock {
        node: usize,
        rate: f64,
        ahead_ms: i64,
    },
    /// How fast the coordinator's clock goes.
    Coordinator {
        rate: f64,
    },
    Heal,
}

/// What a machine has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    Whole,
    /// Snapshots end early, have other bytes, or are those of before.
    Damaged,
    Lost,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let nodes = random.usize(3..=5);
        let mut item = 0;
        let clients = (0..random.usize(3..=6)).map(|_| {
            let steps = random.usize(20..60);
            let steps = (0..steps).map(|_| step(&mut random, nodes, &mut item));
            steps.collect()
        });
        let clients = clients.collect();
        let (mut at, mut harms) = (Duration::ZERO, Vec::new());
        for _ in 0..random.usize(0..14) {
            at += Duration::from_millis(random.u64(50..3000));
            harms.push((at, harm(&mut random, nodes)));
        }
        let away = random.u32(..8) == 0;
        if away {
            age(&mut random, nodes, &mut harms);
        }
        let snapshot_records = random.u64(2..=20);
        let ages = random.u32(..4) == 0;
        let watches = (0..random.usize(0..=3)).map(|_| Watch {
            name: (random.u32(..3) > 0).then(|| NAMES[random.usize(..NAMES.len())]),
            node: random.usize(..nodes),
            stays: Duration::from_millis(random.u64(500..20_000)),
            rests: Duration::from_millis(random.u64(100..5000)),
        });
        let watches = watches.collect();
        if !away && random.u32(..4) == 0 {
            starve(&mut random, nodes, &mut harms);
        }
        Self {
            seed,
            nodes,
            clients,
            watches,
            harms,
            snapshot_records,
            ages,
        }
    }

    /// How much is done in it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.clients.iter().map(Vec::len).sum::<usize>() + self.harms.len() + self.watches.len()
    }

    /// Smaller plans: without one of `share` parts of the harms, of the watches, and of what clients do.
    pub(super) fn without(&self, part: usize, share: usize) -> [Self; 3] {
        let [mut calmer, mut unwatched, mut shorter] = [self.clone(), self.clone(), self.clone()];
        keep_others(&mut calmer.harms, part, share);
        keep_others(&mut unwatched.watches, part, share);
        for client in &mut shorter.clients {
            keep_others(client, part, share);
        }
        [calmer, unwatched, shorter]
    }
}

fn keep_others<T>(all: &mut Vec<T>, part: usize, share: usize) {
    let (from, to) = (all.len() * part / share, all.len() * (part + 1) / share);
    all.drain(from..to);
}

fn names(random: &mut Rng) -> Vec<&'static str> {
    let mut names = NAMES.to_vec();
    random.shuffle(&mut names);
    names.truncate(random.usize(1..=3));
    names
}

fn step(random: &mut Rng, nodes: usize, item: &mut u64) -> Step {
    *item += 1;
    let name = NAMES[random.usize(..NAMES.len())];
    let act = match random.u32(..15) {
        0..4 => Act::Append {
            name,
            item: *item,
            once: random.f64() < 0.7,
        },
        4 | 5 => Act::Transact {
            names: names(random),
            item: *item,
        },
        6 => Act::Look {
            names: names(random),
        },
        7 | 8 => Act::Raise { item: *item },
        9 | 10 => Act::Lower,
        11 => Act::List,
        _ => Act::Read {
            name,
            kind: match random.u32(..6) {
                0 | 1 => Kind::Owner,
                2 => Kind::Strict,
                3 => Kind::Replica,
                4 => Kind::Bounded(Duration::from_millis(random.u64(0..1000))),
                _ => Kind::Own,
            },
        },
    };
    Step {
        node: random.usize(..nodes),
        act,
        rest: Duration::from_millis(random.u64(0..400)),
    }
}

/// One node is away for so long that the log forgets what was deleted meanwhile; the others are well.
fn age(random: &mut Rng, nodes: usize, harms: &mut Vec<(Duration, Harm)>) {
    let node = random.usize(..nodes);
    let at = Duration::from_millis(random.u64(500..4000));
    let restart = |node| Harm::Restart {
        node,
        disk: Disk::Whole,
    };
    harms.retain(|(then, _)| *then < at);
    harms.push((at, Harm::Heal));
    let others = (0..nodes).filter(|other| *other != node);
    harms.extend(others.map(|node| (at, restart(node))));
    harms.push((at, Harm::Crash(node)));
    harms.push((at + FORGOTTEN_AFTER, restart(node)));
}

/// There is no memory left, at one node or at all of them.
fn starve(random: &mut Rng, nodes: usize, harms: &mut Vec<(Duration, Harm)>) {
    for _ in 0..random.usize(1..4) {
        let at = Duration::from_millis(random.u64(500..10_000));
        let node = random.bool().then(|| random.usize(..nodes));
        harms.push((at, Harm::NoMemory(node)));
    }
    harms.sort_by_key(|(at, _)| *at);
}

fn harm(random: &mut Rng, nodes: usize) -> Harm {
    let node = random.usize(..nodes);
    let other = (node + random.usize(1..nodes)) % nodes;
    match random.u32(..26) {
        0..4 => Harm::Crash(node),
        4..7 => Harm::Restart {
            node,
            disk: match random.u32(..4) {
                0 => Disk::Lost,
                1 => Disk::Damaged,
                _ => Disk::Whole,
            },
        },
        7 => Harm::Stop(node),
        8 | 9 => Harm::Pause(node),
        10 => Harm::Partition(node, other),
        11 => Harm::Cut(node, other),
        12 => Harm::Break(node, other),
        13 => Harm::NoLog(node),
        14 => Harm::NoCoordinator(node),
        15 => Harm::Expire(node),
        16 => {
            if random.bool() {
                Harm::Full
            } else {
                Harm::Room
            }
        }
        17 => Harm::LoseAck,
        18 => Harm::FailAppend,
        19 => Harm::Drain(node),
        20 => Harm::FullDisk(node),
        21 | 22 => Harm::Clock {
            node,
            rate: RATES.start + random.f64() * (RATES.end - RATES.start),
            ahead_ms: random.i64(-AHEAD_MS_MAX..=AHEAD_MS_MAX),
        },
        23 => Harm::Coordinator {
            rate: SESSION_RATES.start + random.f64() * (SESSION_RATES.end - SESSION_RATES.start),
        },
        24 => Harm::LoseAcks,
        _ => Harm::Heal,
    }
}
