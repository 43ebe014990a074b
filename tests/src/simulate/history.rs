//! One run of a plan: faults, then quiet, then the checks.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures_util::future::join_all;
use memgen::{
    log::TopicPartition,
    record::{Ballot, Kind as RecordKind},
    testing::{Cluster, Compaction, Faults, Level, Simulation, World},
};
use tokio::{task::JoinError, time::timeout};

use super::{
    checker::check,
    client::{Deeds, Did, Fate, Told, client},
    harm::inflict,
    memory::{Harmed, copies_agree},
    plan::{DELETIONS_KEPT, Harm, KEPT, Plan},
    service::{TOPICS, service},
    state::{State, nothing_is_left},
    watcher::Watcher,
};

/// Within this time after the last fault everything is served again.
const LIVES_WITHIN: Duration = Duration::from_secs(60);
/// So long after the last fault all is healed, whether clients are through or not: no partition is without an owner for longer than the log keeps all (rule 7).
const HARMED_MAX: Duration = Duration::from_secs(15);
/// Within this time nothing is left of what was asked for.
const QUIET_AFTER: Duration = Duration::from_secs(15);
/// So many lines of the trace are printed.
const LINES: usize = 2000;

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Operations that were answered.
    pub answered: usize,
    /// Those of which nobody knows what became of them.
    pub unknown: usize,
    /// What events have told.
    pub events: usize,
    /// What change feeds have shown.
    pub changes: usize,
    /// Barriers in the logs.
    pub takeovers: usize,
    /// What happened to nodes and the log.
    pub harms: usize,
    /// The hash of the whole history.
    pub hash: u64,
}

impl Counts {
    /// Adds another history.
    pub const fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.unknown += other.unknown;
        self.events += other.events;
        self.changes += other.changes;
        self.takeovers += other.takeovers;
        self.harms += other.harms;
        self.hash ^= other.hash;
    }
}

/// What is wrong with a history.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which check found it.
    pub kind: &'static str,
    /// What it found.
    pub what: String,
}

/// Runs a plan. `trace` says whether, and of which level, what nodes say is printed if it fails.
///
/// # Errors
/// What is wrong.
pub fn run(plan: &Plan, trace: Option<Level>) -> Result<Counts, Failure> {
    let lines = if trace.is_some() { LINES } else { 0 };
    let simulation = Simulation::new(plan.seed)
        .faults(faults())
        .trace(trace.unwrap_or(Level::ERROR), lines);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        simulation.run(async |world| history(&world, plan, lines).await)
    }));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(Failure {
            kind: "panic",
            what: text.unwrap_or_default(),
        })
    })
}

fn compaction() -> Compaction {
    Compaction {
        every: Duration::from_secs(1),
        lag: KEPT,
        deletions: Some(DELETIONS_KEPT),
    }
}

fn faults() -> Faults {
    Faults {
        foreign: 0.0,
        compaction: Some(compaction()),
        ..Faults::some()
    }
}

async fn history(world: &World, plan: &Plan, lines: usize) -> Result<Counts, Failure> {
    let done = checked(world, plan).await;
    if done.is_err() {
        for line in world.trace(lines) {
            eprintln!("{line}");
        }
        if lines > 0 {
            tell_logs(world);
        }
    }
    done
}

/// Prints all that is or was in the logs.
fn tell_logs(world: &World) {
    for partition in partitions() {
        for (offset, record) in world.log().history(&partition) {
            let Ballot { epoch, incarnation } = record.ballot;
            let key = record.key.escape_ascii();
            let value = record.value.as_ref().map(|value| value.escape_ascii());
            let value = value.map_or("none".to_owned(), |value| value.to_string());
            let (kind, time) = (record.kind, record.timestamp_ms);
            eprintln!(
                "{partition} {offset} at {time} ms by {epoch}.{incarnation} {kind:?} {key}: {value}"
            );
        }
    }
}

fn partitions() -> impl Iterator<Item = TopicPartition> {
    TOPICS
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|number| TopicPartition::new(*topic, number)))
}

async fn checked(world: &World, plan: &Plan) -> Result<Counts, Failure> {
    let snapshot_records = plan.snapshot_records;
    let cluster = world.cluster_with(service, plan.nodes, move |config| {
        config.snapshot_records = snapshot_records;
        config.replicas = 1;
    });
    cluster.ready().await;
    let clients = plan.clients.iter().enumerate();
    let clients: Vec<_> = clients
        .map(|(number, steps)| world.spawn(client(cluster.clone(), steps.clone(), number)))
        .collect();
    let watchers: Vec<_> = plan
        .watches
        .iter()
        .map(|watch| Watcher::start(world, &cluster, *watch))
        .collect();
    let (mut stops, mut harmed) = (Vec::new(), Harmed::default());
    for (at, harm) in &plan.harms {
        let rest = at.saturating_sub(world.elapsed());
        world.advance(rest).await;
        harmed.note(*harm);
        stops.extend(inflict(world, &cluster, *harm));
    }
    let mut clients = join_all(clients);
    let early = timeout(HARMED_MAX, &mut clients).await.ok();
    world.log().set_full(false);
    world.log().set_faults(Faults {
        compaction: Some(compaction()),
        ..Faults::none()
    });
    cluster.heal();
    harmed.note(Harm::Heal);
    for stop in stops {
        if timeout(LIVES_WITHIN, stop).await.is_err() {
            return Err(Failure {
                kind: "liveness",
                what: format!("a node does not stop within {LIVES_WITHIN:?} after the last fault"),
            });
        }
    }
    for node in 0..plan.nodes {
        // Who was asked to drain takes nothing more.
        if plan
            .harms
            .iter()
            .any(|(_, harm)| matches!(harm, Harm::Drain(drained) if *drained == node))
        {
            cluster.crash(node);
        }
        cluster.restart(node);
    }
    let deeds = match early {
        Some(deeds) => deeds,
        None => clients.await,
    };
    let Deeds { dids, flags, .. } = together(deeds);
    let lives = timeout(LIVES_WITHIN, async {
        cluster.ready().await;
        // What a client gave up may still be carried out.
        world.advance(QUIET_AFTER).await;
        State::settled(&cluster, 0).await
    });
    let Ok(last) = lives.await else {
        return Err(Failure {
            kind: "liveness",
            what: format!("not everything is served {LIVES_WITHIN:?} after the last fault"),
        });
    };
    let wrong = |kind| move |what| Failure { kind, what };
    check(&dids, &last.piles).map_err(|(kind, what)| Failure { kind, what })?;
    harmed.check(&dids).map_err(wrong("memory"))?;
    last.check_flags(&flags).map_err(wrong("flags"))?;
    last.check_tallies().map_err(wrong("events"))?;
    nothing_is_left(&cluster).await.map_err(wrong("left"))?;
    let mut changes = 0;
    for watcher in watchers {
        changes += watcher.finish(&last.piles).await.map_err(wrong("feeds"))?;
    }
    if plan.ages {
        world.advance(KEPT + DELETIONS_KEPT).await;
    }
    copies_agree(&cluster, plan.nodes)
        .await
        .map_err(wrong("copies"))?;
    replays(&cluster, plan.nodes, &last)
        .await
        .map_err(wrong("replay"))?;
    Ok(counts(world, plan, &dids, &flags, changes, &last))
}

/// All that clients did.
fn together(deeds: Vec<Result<Deeds, JoinError>>) -> Deeds {
    let mut all = Deeds::default();
    for deeds in deeds {
        let deeds = deeds.expect("a client does not panic");
        all.dids.extend(deeds.dids);
        all.flags.extend(deeds.flags);
    }
    all
}

/// Whoever reads the log alone sees the same.
async fn replays(cluster: &Cluster, nodes: usize, last: &State) -> Result<(), String> {
    for node in 0..nodes {
        cluster.crash(node);
        cluster.lose_snapshots(node);
        cluster.restart(node);
    }
    cluster.ready().await;
    let replayed = State::of(cluster, nodes - 1).await;
    if replayed != *last {
        return Err(format!("{last:?} was replayed as {replayed:?}"));
    }
    Ok(())
}

fn counts(
    world: &World,
    plan: &Plan,
    dids: &[Did],
    flags: &BTreeMap<u64, Fate>,
    changes: usize,
    last: &State,
) -> Counts {
    let answered = dids
        .iter()
        .filter(|did| matches!(did.told, Told::Seen(_)))
        .count();
    let unknown = dids
        .iter()
        .filter(|did| matches!(did.told, Told::Unknown))
        .count();
    // Each was put there, and some were deleted.
    let known = flags.values().map(|fate| match fate {
        Fate::There => 1,
        Fate::Gone => 2,
        Fate::Unknown | Fate::Lost | Fate::Back => 0,
    });
    let answered = answered + known.sum::<usize>();
    let barriers = partitions().map(|partition| {
        let history = world.log().history(&partition);
        let barriers = history
            .iter()
            .filter(|(_, record)| record.kind == RecordKind::Barrier);
        barriers.count()
    });
    Counts {
        answered,
        unknown,
        events: last.events(),
        changes,
        takeovers: barriers.sum(),
        harms: plan.harms.len(),
        hash: world.trace_hash(),
    }
}
