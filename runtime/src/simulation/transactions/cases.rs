//! Single cases, each step by step; those of a home that leads are in a file of their own.

mod home;

use std::{
    ops::Bound,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{
    PARTITIONS,
    network::{Cell, Cells, Network, start, start_within},
    partition,
};
use crate::{
    broken::{Bug, set_broken},
    budget::Budget,
    conditional::Conditions,
    feed::{FeedMark, Unread},
    log::{
        Log, conformance,
        sim::{Compaction, Faults, Sim},
    },
    mailbox::{Command, Job, Mailbox, Refusal, Slot, StreamJob, TxJob, Why},
    migration::Readers,
    prelude::*,
    record::{Ballot, Offset},
    replica::Replica,
    simulation::{HORIZON, Pile, topic},
    stream::{Batch, Event, Reached, Taken, Taking, Work},
    tx::{
        Attempt, Commit, Committed, Listing, Never, Part, Poll, Prepare, Range, TxId, Version,
        Vote, Write,
    },
    writer::SOON,
};

fn write(key: &str) -> Write {
    let pile = Pile {
        key: key.to_owned(),
        items: vec![1],
    };
    Write {
        key: key.to_owned(),
        value: Some(serde_json::value::to_raw_value(&pile).unwrap()),
        stored: None,
    }
}

/// A transaction of this partition alone, which writes.
fn commit(number: u128, writes: Vec<Write>) -> Arc<Commit> {
    Arc::new(Commit {
        id: TxId::of(number),
        run: 0,
        request: None,
        reply: Bytes::new(),
        own: Part {
            writes,
            ..Part::default()
        },
        others: Vec::new(),
        emitted: Vec::new(),
        taking: None,
    })
}

/// The only attempt of any transaction here.
const ATTEMPT: Attempt = Attempt {
    epoch: 1,
    incarnation: 1,
    number: 1,
};

/// What another home asks of the first partition.
fn prepare(number: u128, part: Part) -> Box<Prepare> {
    Box::new(Prepare {
        id: TxId::of(number),
        attempt: ATTEMPT,
        home: partition(1),
        part,
    })
}

fn writes(key: &str) -> Part {
    Part {
        writes: vec![write(key)],
        ..Part::default()
    }
}

/// A log and a network in which nothing goes wrong, and the cells of the nodes that are in it.
async fn quiet() -> (Sim, Cells, Arc<Network>) {
    quiet_on(Faults::none()).await
}

/// The same, on a log that does this.
async fn quiet_on(faults: Faults) -> (Sim, Cells, Arc<Network>) {
    let sim = Sim::new(1, faults);
    sim.client().declare(&topic(PARTITIONS)).await.unwrap();
    let cells: Cells = Arc::new(Mutex::new(vec![Vec::new(), Vec::new(), Vec::new()]));
    let network = Arc::new(Network::new(cells.clone(), fastrand::Rng::with_seed(1)));
    network.set_quiet();
    (sim, cells, network)
}

/// A log that compacts after five seconds, and takes deletions away as long after that; the owner of its first partition, and where that has written `a` and `b` as a batch.
async fn with_a_batch(deletions: Option<Duration>) -> (Sim, Cell, Offset) {
    let compaction = Compaction {
        every: Duration::from_secs(1),
        lag: Duration::from_secs(5),
        deletions,
    };
    let (sim, _, network) = quiet_on(Faults {
        compaction: Some(compaction),
        ..Faults::none()
    })
    .await;
    let cell = start(&sim, 0, 1, network);
    let commit = commit(1, vec![write("a"), write("b")]);
    let asked = cell
        .mailbox
        .ask(|slot| Job::Tx(TxJob::Commit(commit, slot)));
    let Committed::Yes(Some(batch), _) = asked.await.unwrap() else {
        panic!("it was written");
    };
    (sim, cell, batch)
}

/// A batch that stayed in the log would bring back what was deleted after it, once compaction has taken the deletion.
#[tokio::test(start_paused = true)]
async fn a_batch_does_not_outlast_the_deletion_of_what_it_wrote() {
    let (sim, cell, _) = with_a_batch(Some(Duration::from_secs(5))).await;
    let removed = cell.mailbox.ask(|slot| {
        Job::Command(Command {
            key: "a".to_owned(),
            conditions: Conditions::default(),
            request: None,
            run: Box::new(|entry: &mut Entry<Pile>| {
                entry.remove();
                StatusCode::OK.into_response()
            }),
            slot,
        })
    });
    removed.await.unwrap();
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        // Something that is newer, so that all of that is old.
        cell.mailbox.ask(Job::Fence).await.unwrap();
    }
    let log: Arc<dyn Log> = Arc::new(sim.client());
    let mut replica = Replica::<Pile>::new(log, partition(0), HORIZON, Readers::current(0));
    let mut deletions = 0;
    let seen = |_, record: &crate::record::Record, _| {
        deletions += usize::from(&*record.key == b"a" && record.value.is_none());
    };
    replica.catch_up(None, seen).await.unwrap();
    assert_eq!(deletions, 0, "compaction has taken the deletion");
    let there = |key: &str| replica.memory().get(&key.to_owned()).is_some();
    assert!(!there("a") && there("b"));
    assert!(!replica.fold().has_open_batch());
}

/// A feed that has shown a batch, and goes on where it is not in the log any more: what repeats it there is not shown as something new.
#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_batch_is_no_change() {
    let (sim, cell, batch) = with_a_batch(None).await;
    sleep(SOON * 2).await;
    let shown = FeedMark::before(batch + 1);
    let follow = async || {
        let log: Arc<dyn Log> = Arc::new(sim.client());
        let mut replica = Replica::<Pile>::new(log, partition(0), HORIZON, Readers::current(0));
        let (mut batches, mut changes) = (0, 0);
        let seen = |offset, record: &crate::record::Record, _| {
            batches += usize::from(offset == batch);
            changes += usize::from(&*record.key == b"a");
        };
        // Behind the records of its keys others are gone, too: those who have read that begin anew in any case.
        replica.catch_up(Some(batch + 3), seen).await.unwrap();
        let more = replica.memory().recent().after(shown, 10);
        (batches, changes, more.map(|(changes, _)| changes.len()))
    };
    assert_eq!(follow().await, (1, 1, Ok(0)), "it is there as a whole");
    for _ in 0..20 {
        sleep(Duration::from_secs(1)).await;
        // Something that is newer, so that all of that is old.
        cell.mailbox.ask(Job::Fence).await.unwrap();
    }
    assert_eq!(follow().await, (0, 1, Err(Unread::Lost)));
}

/// A partition whose home has no owner shows what it waits for, until there is one.
#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_is_shown_until_its_home_has_an_owner() {
    let (sim, cells, network) = quiet().await;
    let home = start(&sim, 1, 1, network.clone());
    home.task.abort();
    let participant = start(&sim, 0, 2, network.clone());
    let (mailbox, memory) = (participant.mailbox.clone(), participant.memory.clone());
    cells.lock().unwrap()[0].push(participant);
    cells.lock().unwrap()[1].push(home);
    let prepare = prepare(7, writes("a"));
    let vote = mailbox.ask(|slot| Job::Tx(TxJob::Prepare(prepare, slot)));
    assert_eq!(vote.await, Ok(Vote::Yes));
    assert_eq!(memory.held().in_doubt(), [], "there is time to hear of it");
    sleep(Duration::from_secs(5)).await;
    let in_doubt = memory.held().in_doubt();
    let [only] = in_doubt.as_slice() else {
        panic!("{in_doubt:?}");
    };
    assert_eq!((only.id, &only.home), (TxId::of(7), &partition(1)));
    assert!(only.age >= Duration::from_secs(5));

    let fresh = start(&sim, 1, 3, network.clone());
    network.replace(1, fresh, &sim);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(memory.held().in_doubt(), []);
    assert!(!memory.held().is_held(&"a".to_owned()));
    assert!(
        memory.get(&"a".to_owned()).is_none(),
        "home knows nothing of it"
    );
}

/// A range that a prepared transaction has read: nobody comes into it before that is decided.
#[tokio::test(start_paused = true)]
async fn nobody_comes_into_a_range_that_is_read() {
    let (sim, cells, network) = quiet().await;
    let home = start(&sim, 1, 1, network.clone());
    home.task.abort();
    cells.lock().unwrap()[1].push(home);
    let participant = start(&sim, 0, 2, network);
    let part = Part {
        lists: vec![Listing {
            range: Range::of::<Pile>(&("r".to_owned().."s".to_owned()), 1).unwrap(),
            count: 0,
            comings: Version {
                incarnation: 2,
                number: 0,
            },
        }],
        ..Part::default()
    };
    let prepare = prepare(7, part);
    let mailbox = &participant.mailbox;
    let vote = mailbox.ask(|slot| Job::Tx(TxJob::Prepare(prepare, slot)));
    assert_eq!(vote.await, Ok(Vote::Yes));
    let comes = async |number, key: &str| {
        let commit = commit(number, vec![write(key)]);
        let asked = mailbox.ask(|slot| Job::Tx(TxJob::Commit(commit, slot)));
        matches!(asked.await, Ok(Committed::Yes(Some(_), _)))
    };
    assert!(comes(8, "s").await && comes(9, "q").await);
    assert!(!comes(10, "r").await && !comes(11, "r7").await);
    set_broken(Some(Bug::NoRangeLocks));
    let broken = comes(12, "r7").await;
    set_broken(None);
    assert!(broken, "it is the lock that keeps it out");
}

/// Where there is no memory left, a transaction that needs more ends at once, at its home and elsewhere; one that frees some is carried out.
#[tokio::test(start_paused = true)]
async fn where_there_is_no_room_nothing_grows() {
    let (sim, cells, network) = quiet().await;
    let home = start(&sim, 1, 1, network.clone());
    cells.lock().unwrap()[1].push(home);
    let budget = Arc::new(Budget::default());
    let cell = start_within(budget.clone(), &sim, 0, 2, network);
    let mailbox = cell.mailbox.clone();
    cells.lock().unwrap()[0].push(cell);
    let commits = async |number, write| {
        let commit = commit(number, vec![write]);
        let asked = mailbox.ask(|slot| Job::Tx(TxJob::Commit(commit, slot)));
        asked.await.unwrap()
    };
    assert!(matches!(
        commits(1, write("a")).await,
        Committed::Yes(Some(_), _)
    ));
    budget.refuse(partition(0));
    let refused = commits(2, write("b")).await;
    assert!(
        matches!(refused, Committed::Never(Never::Full(_))),
        "{refused:?}"
    );
    let prepare = prepare(3, writes("c"));
    let vote = mailbox.ask(|slot| Job::Tx(TxJob::Prepare(prepare, slot)));
    assert!(matches!(vote.await, Ok(Vote::Full(_))));
    // The same length again, and less.
    assert!(matches!(
        commits(4, write("a")).await,
        Committed::Yes(Some(_), _)
    ));
    let removal = Write {
        key: "a".to_owned(),
        value: None,
        stored: None,
    };
    assert!(matches!(
        commits(5, removal).await,
        Committed::Yes(Some(_), _)
    ));
    assert!(matches!(
        commits(6, write("a")).await,
        Committed::Never(Never::Full(_))
    ));
}

/// What is committed elsewhere goes to the log with what is written next, and soon in any case; at once if somebody wants to read or write what it holds.
#[allow(
    clippy::async_yields_async,
    reason = "whoever has told it hears later that it is written"
)]
#[tokio::test(start_paused = true)]
async fn what_is_committed_is_written_with_what_comes_next_or_when_it_is_wanted() {
    const NOW: Duration = Duration::from_millis(20);
    let (sim, cells, network) = quiet().await;
    let home = start(&sim, 1, 1, network.clone());
    home.task.abort();
    cells.lock().unwrap()[1].push(home);
    let participant = start(&sim, 0, 2, network);
    let (mailbox, memory) = (participant.mailbox.clone(), participant.memory.clone());
    let shows = |key: &str| memory.get(&key.to_owned()).is_some();
    let is_prepared = async |number, key| {
        let prepare = prepare(number, writes(key));
        let vote = mailbox.ask(|slot| Job::Tx(TxJob::Prepare(prepare, slot)));
        vote.await == Ok(Vote::Yes)
    };
    // What the participant is told, and does at once.
    let committed = async |number, key| {
        assert!(is_prepared(number, key).await);
        let (slot, mut told) = oneshot::channel();
        let finish = TxJob::Finish(TxId::of(number), ATTEMPT, Some(slot));
        mailbox.send(Job::Tx(finish)).unwrap();
        sleep(NOW).await;
        assert!(!shows(key) && told.try_recv().is_err(), "{key} is written");
        told
    };
    let at_once = async |key: &str, asked: Pin<Box<dyn Future<Output = ()> + '_>>| {
        timeout(NOW, asked)
            .await
            .expect("it does not wait for long");
        assert!(shows(key), "{key}");
    };

    let alone = committed(1, "alone").await;
    timeout(2 * SOON, alone).await.unwrap().unwrap().unwrap();
    assert!(shows("alone"));

    let told = committed(2, "beside").await;
    let written = async { assert!(mailbox.ask(Job::Fence).await.is_ok()) };
    at_once("beside", Box::pin(written)).await;
    told.await.unwrap().unwrap();

    committed(3, "read").await;
    let key = "read".to_owned();
    let read = memory
        .held()
        .released_within(Bound::Included(&key), Bound::Included(&key));
    at_once("read", Box::pin(read)).await;

    committed(4, "changed").await;
    let removed = async {
        let removed = mailbox.ask(|slot| {
            Job::Command(Command {
                key: "changed".to_owned(),
                conditions: Conditions::default(),
                request: None,
                run: Box::new(|entry: &mut Entry<Pile>| {
                    let found = entry.get().is_some();
                    assert!(found, "it comes after what is committed");
                    StatusCode::OK.into_response()
                }),
                slot,
            })
        });
        assert_eq!(removed.await.unwrap().response.status(), StatusCode::OK);
    };
    at_once("changed", Box::pin(removed)).await;

    committed(5, "prepared").await;
    let prepared = async { assert!(is_prepared(6, "prepared").await) };
    at_once("prepared", Box::pin(prepared)).await;

    committed(7, "own").await;
    let decided = async {
        let commit = commit(8, vec![write("own")]);
        let asked = mailbox.ask(|slot| Job::Tx(TxJob::Commit(commit, slot)));
        assert!(matches!(asked.await, Ok(Committed::Yes(Some(_), _))));
    };
    at_once("own", Box::pin(decided)).await;

    committed(9, "event").await;
    let taken = async {
        let event = Event {
            offset: 0,
            record: conformance::data(Ballot::FOREIGN, "event", None),
            work: Work::Run(
                "event".to_owned(),
                Box::new(|entry| {
                    assert!(entry.get().is_some(), "it comes after what is committed");
                    StatusCode::OK.into_response()
                }),
            ),
        };
        let batch = Batch {
            input: "input/0".into(),
            events: vec![event],
            next: 1,
            seen: Arc::default(),
            dead_letters: None,
        };
        let asked = mailbox.ask(|slot| Job::Events(Box::new(batch), slot));
        assert_eq!(asked.await, Ok(Taken::All));
    };
    at_once("event", Box::pin(taken)).await;

    // Nothing waits for an owner that leaves.
    let told = committed(10, "left").await;
    drop((mailbox, participant.mailbox));
    participant.task.await.unwrap();
    assert!(shows("left"));
    told.await.unwrap().unwrap();
}
