//! Single cases, each step by step.

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

/// What anybody reads who reads the log of a partition now.
async fn replica(sim: &Sim, number: u32) -> Replica<Pile> {
    let log: Arc<dyn Log> = Arc::new(sim.client());
    let mut replica = Replica::new(log, partition(number), HORIZON, Readers::current(0));
    replica.catch_up(None, |_, _, _| ()).await.unwrap();
    replica
}

/// A home that has prepared, and waits for a participant that hears and does nothing.
struct Led {
    sim: Sim,
    cells: Cells,
    network: Arc<Network>,
    former: Cell,
    /// What the participant hears.
    unread: mpsc::Receiver<Job<Pile>>,
    answer: oneshot::Receiver<Result<Committed, Refusal>>,
}

/// It writes `here`, and leads that the participant writes `there`.
fn leads() -> Commit {
    Commit {
        others: vec![(partition(0), writes("there"))],
        ..Arc::unwrap_or_clone(commit(1, vec![write("here")]))
    }
}

/// The same, as the effect of an event.
fn takes_in() -> Commit {
    Commit {
        taking: Some(Taking {
            input: INPUT.to_owned(),
            offset: 4,
            reached: Reached {
                next: 5,
                ..Reached::default()
            },
        }),
        ..leads()
    }
}

/// Where that comes from.
const INPUT: &str = "input/0";

/// What is known at all is known by then.
const PATIENT: Duration = Duration::from_secs(60);

/// How far it was taken in, says its home.
async fn reached(home: &Mailbox<Pile>) -> Offset {
    let asked = home.ask(|slot| Job::Stream(StreamJob::Reached(INPUT.into(), slot)));
    asked.await.unwrap().next
}

/// A home that leads this.
async fn led(leads: Commit) -> Led {
    let (sim, cells, network) = quiet().await;
    let (deaf, unread) = start(&sim, 0, 1, network.clone()).silenced();
    cells.lock().unwrap()[0].push(deaf);
    let former = start(&sim, 1, 2, network.clone());
    let (slot, answer) = oneshot::channel();
    let commit = TxJob::Commit(Arc::new(leads), slot);
    let asked = former.mailbox.send(Job::Tx(commit));
    asked.unwrap();
    sleep(SOON).await;
    Led {
        sim,
        cells,
        network,
        former,
        unread,
        answer,
    }
}

impl Led {
    /// The participant prepares after all, at another node. Home is not told, as long as the slot is kept; then it knows that it won't be.
    async fn prepare(&mut self) -> (Cell, Slot<Vote>) {
        let Some(Job::Tx(TxJob::Prepare(prepare, unheard))) = self.unread.recv().await else {
            panic!("home asks it to prepare");
        };
        let participant = start(&self.sim, 0, 3, self.network.clone());
        let vote = participant
            .mailbox
            .ask(|slot| Job::Tx(TxJob::Prepare(prepare, slot)));
        assert_eq!(vote.await, Ok(Vote::Yes));
        (participant, unheard)
    }
}

/// What an owner before this one has begun may have been answered. So it is not given up because somebody was not heard, as that owner would have, but only if somebody has refused it.
#[tokio::test(start_paused = true)]
async fn what_a_former_owner_led_is_not_given_up_unheard() {
    let led = led(leads()).await;
    led.former.task.abort();
    let prepared = async || {
        let home = replica(&led.sim, 1).await;
        let prepared = home.fold().pending().prepared().get(&TxId::of(1));
        prepared.map(|prepared| prepared.attempt)
    };
    let attempt = prepared().await.expect("home has prepared");

    let home = start(&led.sim, 1, 3, led.network.clone());
    home.mailbox.ask(Job::Fence).await.unwrap();
    let gives_up = async |why| {
        let outcome = Committed::Conflict(String::new());
        let job = TxJob::GiveUp(TxId::of(1), attempt, outcome, why);
        home.mailbox.send(Job::Tx(job)).unwrap();
        sleep(SOON * 2).await;
        prepared().await.is_none()
    };
    assert!(!gives_up(Why::Unheard).await);
    assert!(gives_up(Why::Refused).await);
}

/// Home hears nothing from a participant that has prepared, and is cut off from the log when it gives up. Meanwhile another owner finds it prepared everywhere, and
/// commits it. What the first one says, and whether it has told the participant meanwhile that it gave up.
async fn what_a_home_says_that_gives_up_what_another_commits() -> (Result<Committed, Refusal>, bool)
{
    let mut led = led(leads()).await;
    led.sim.set_cut_off(&led.former.client, true);

    let (participant, unheard) = led.prepare().await;
    drop(unheard);
    // Word of it, if there is any, gets lost.
    sleep(SOON).await;
    let is_told = matches!(led.unread.try_recv(), Ok(Job::Tx(TxJob::Abort(..))));
    led.cells.lock().unwrap()[0].push(participant);

    let home = start(&led.sim, 1, 4, led.network.clone());
    home.mailbox.ask(Job::Fence).await.unwrap();
    let memory = home.memory.clone();
    led.cells.lock().unwrap()[1].push(home);
    sleep(SOON * 4).await;
    let is_committed = memory.get(&"here".to_owned()).is_some();
    assert!(is_committed, "all had prepared it");
    led.sim.set_cut_off(&led.former.client, false);
    let said = led.answer.await.expect("whoever asked is answered");
    (said, is_told)
}

/// What home gives up because it has not heard of somebody is said, to whoever asked and to the others, when the log has it: until then another owner may commit it.
#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_said_when_nobody_can_commit_it_any_more() {
    let said = what_a_home_says_that_gives_up_what_another_commits().await;
    assert_eq!(said, (Err(Refusal::Unknown), false));
    set_broken(Some(Bug::EarlyAbort));
    let broken = what_a_home_says_that_gives_up_what_another_commits().await;
    set_broken(None);
    assert!(
        matches!(broken, (Ok(Committed::Conflict(_)), true)),
        "{broken:?}"
    );
}

/// Whether a participant hears that an owner of home gives up what the one before it has led, since somebody has not prepared it. The log has that, or home is cut off from it.
async fn is_told_what_a_former_owner_led_is_given_up(is_cut_off: bool) -> bool {
    let mut led = led(leads()).await;
    led.former.task.abort();
    let home = replica(&led.sim, 1).await;
    let prepared = home.fold().pending().prepared().get(&TxId::of(1));
    let attempt = prepared.expect("home has prepared").attempt;

    let home = start(&led.sim, 1, 3, led.network.clone());
    home.mailbox.ask(Job::Fence).await.unwrap();
    // It has looked at the end of the log, too.
    sleep(SOON).await;
    led.sim.set_cut_off(&home.client, is_cut_off);
    let outcome = Committed::Conflict(String::new());
    let job = TxJob::GiveUp(TxId::of(1), attempt, outcome, Why::Refused);
    home.mailbox.send(Job::Tx(job)).unwrap();
    sleep(SOON * 4).await;
    let mut heard = std::iter::from_fn(|| led.unread.try_recv().ok());
    heard.any(|job| matches!(job, Job::Tx(TxJob::Abort(..))))
}

/// Whoever has not prepared what an owner before has led may have finished it: another owner has committed it meanwhile. So nobody is told that it is given up before the log has that.
#[tokio::test(start_paused = true)]
async fn what_a_former_owner_led_is_given_up_in_the_log_first() {
    assert!(is_told_what_a_former_owner_led_is_given_up(false).await);
    assert!(!is_told_what_a_former_owner_led_is_given_up(true).await);
    set_broken(Some(Bug::EarlyAbort));
    let broken = is_told_what_a_former_owner_led_is_given_up(true).await;
    set_broken(None);
    assert!(broken, "it is the log that it waits for");
}

/// What a new owner of home was told is prepared may be committed from then on. A later attempt of the owner before it, whose message is late, does not take its place.
#[tokio::test(start_paused = true)]
async fn what_home_s_new_owner_has_asked_for_stays_prepared() {
    let is_replaced = async || {
        let (sim, _, network) = quiet().await;
        let participant = start(&sim, 0, 1, network);
        let asked = participant
            .mailbox
            .ask(|slot| Job::Tx(TxJob::Prepare(prepare(1, writes("key")), slot)));
        assert_eq!(asked.await, Ok(Vote::Yes));
        let poll = Poll {
            id: TxId::of(1),
            attempt: ATTEMPT,
            home: partition(1),
            floor: Ballot::new(2, 2).into(),
        };
        let is_prepared = async || {
            let poll = poll.clone();
            let asked = participant
                .mailbox
                .ask(|slot| Job::Tx(TxJob::Poll(poll, slot)));
            asked.await.unwrap()
        };
        assert!(is_prepared().await);
        let later = Box::new(Prepare {
            attempt: Attempt {
                number: 2,
                ..ATTEMPT
            },
            ..*prepare(1, writes("key"))
        });
        let asked = participant
            .mailbox
            .ask(|slot| Job::Tx(TxJob::Prepare(later, slot)));
        let vote = asked.await.unwrap();
        assert_eq!(vote == Vote::Yes, !is_prepared().await);
        vote == Vote::Yes
    };
    assert!(!is_replaced().await);
    set_broken(Some(Bug::LateFloor));
    let broken = is_replaced().await;
    set_broken(None);
    assert!(broken, "it is the floor that keeps it out");
}

/// Home is deposed while it waits for a participant, and learns of it late: another owner has committed what it led, and has forgotten it. Nobody is told that nothing happened.
#[tokio::test(start_paused = true)]
async fn what_another_owner_may_have_committed_and_forgotten_is_unknown() {
    let mut led = led(leads()).await;
    let (participant, _unheard) = led.prepare().await;
    led.cells.lock().unwrap()[0].push(participant);

    let home = start(&led.sim, 1, 4, led.network.clone());
    let (mailbox, memory) = (home.mailbox.clone(), home.memory.clone());
    led.cells.lock().unwrap()[1].push(home);
    mailbox.ask(Job::Fence).await.unwrap();
    sleep(SOON * 4).await;
    assert!(memory.get(&"here".to_owned()).is_some(), "it is committed");
    mailbox.ask(Job::Fence).await.unwrap();
    let home = replica(&led.sim, 1).await;
    assert!(home.fold().pending().is_empty(), "it is forgotten");

    let moved = led.former.mailbox.ask(Job::Fence).await;
    assert_eq!(moved, Err(Refusal::Moved));
    led.former.mailbox.ask(Job::Fence).await.unwrap();
    let said = led.answer.await.expect("whoever asked is answered");
    assert_eq!(said, Err(Refusal::Unknown));
}

/// Whoever was told that an event is taken in goes on behind it. So home does not say that it has not come as far: neither before that is written, nor when an owner after it does not know yet what was
/// said.
#[tokio::test(start_paused = true)]
async fn what_was_taken_in_is_behind_whoever_reads_on() {
    let (sim, cells, network) = quiet().await;
    let participant = start(&sim, 0, 1, network.clone());
    cells.lock().unwrap()[0].push(participant);
    let home = start(&sim, 1, 2, network);
    assert_eq!(reached(&home.mailbox).await, 0);
    let taken = home
        .mailbox
        .ask(|slot| Job::Tx(TxJob::Commit(Arc::new(takes_in()), slot)));
    assert!(matches!(taken.await, Ok(Committed::Yes(Some(_), _))));
    assert!(
        home.memory.get(&"here".to_owned()).is_none(),
        "it is not written"
    );
    assert_eq!(reached(&home.mailbox).await, 5);

    let mut led = led(takes_in()).await;
    led.former.task.abort();
    let (participant, _unheard) = led.prepare().await;
    led.unread.close();
    let home = start(&led.sim, 1, 4, led.network.clone());
    let asks = reached(&home.mailbox);
    tokio::pin!(asks);
    let early = timeout(SOON * 2, &mut asks).await;
    assert!(early.is_err(), "it can't be known: {early:?}");
    led.cells.lock().unwrap()[0].push(participant);
    let known = timeout(PATIENT, asks).await;
    assert_eq!(known.expect("it is prepared everywhere"), 5);
}

/// What goes on its own leaves nothing over: home decides, then a participant finishes and home repeats what it has decided, and at last home forgets.
#[tokio::test(start_paused = true)]
async fn the_rest_goes_as_a_whole_and_home_forgets_at_leisure() {
    let (sim, cells, network) = quiet().await;
    let participant = start(&sim, 0, 1, network.clone());
    let home = start(&sim, 1, 2, network);
    let (mailbox, memory) = (home.mailbox.clone(), participant.memory.clone());
    cells.lock().unwrap()[0].push(participant);
    cells.lock().unwrap()[1].push(home);
    let decision = Arc::new(leads());
    let decided = mailbox.ask(|slot| Job::Tx(TxJob::Commit(decision, slot)));
    assert!(matches!(decided.await, Ok(Committed::Yes(Some(_), _))));

    let log = sim.client();
    let end = async |number| log.end(&partition(number)).await.unwrap();
    let remembered = async || replica(&sim, 1).await.fold().pending().decided().len();
    sleep(SOON * 3).await;
    assert!(memory.get(&"there".to_owned()).is_some());
    let ends = (end(0).await, end(1).await);
    assert_eq!(remembered().await, 1, "it is in no hurry to forget");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(
        (end(0).await, end(1).await),
        ends,
        "something was left over"
    );
    sleep(Duration::from_secs(1)).await;
    assert_eq!(remembered().await, 0);
    assert_eq!((end(0).await, end(1).await), (ends.0, ends.1 + 1));
}
