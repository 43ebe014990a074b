//! Home: what it leads, what an owner before it led, and what it knows of both.

use super::*;

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
