//! What an owner without a lease, or without the lock, may say and do.

use super::*;
use crate::memory::Memory;

/// A lock whose lease can lapse.
struct Leased(Arc<AtomicBool>);

impl Lock for Leased {
    fn holds(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn release(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A writer that serves under a lock whose lease the test decides.
struct Owner {
    here: Arc<Here<Pile>>,
    lease: Arc<AtomicBool>,
    task: JoinHandle<()>,
    _orders: watch::Sender<Order>,
}

async fn serve(sim: &Sim, incarnation: u64) -> Owner {
    let log: Arc<dyn Log> = Arc::new(declared(sim).await);
    let replica = Replica::new(log, partition(), HORIZON, Readers::current(0));
    let lease = Arc::new(AtomicBool::new(true));
    let lock: Arc<dyn Lock> = Arc::new(Leased(lease.clone()));
    let (mailbox, inbox) = Mailbox::new(64);
    let (phase, phase_seen) = watch::channel(Phase::Starting);
    let (teller, orders) = watch::channel(Order::Serve);
    let way_back = mailbox.downgrade();
    let here = Arc::new(Here {
        partition: partition(),
        memory: replica.memory().clone(),
        mailbox,
        phase: phase_seen,
        lock: lock.clone(),
        metrics: Metrics::new().partition(&partition()),
        incarnation,
    });
    let writer = Writer {
        replica,
        inbox,
        mailbox: way_back,
        others: Arc::new(Courier::default()),
        schemas: Arc::default(),
        phase,
        orders,
        lock,
        bounds: BOUNDS,
        budget: Arc::default(),
        metrics: Metrics::new().partition(&partition()),
        incarnation,
    };
    let task = tokio::spawn(async { drop(writer.run().await) });
    let mut phase = here.phase.clone();
    phase.wait_for(|phase| phase.answers()).await.unwrap();
    Owner {
        here,
        lease,
        task,
        _orders: teller,
    }
}

/// A request that a free handler serves may run twice, if its home moves meanwhile. The run that ends second saw what the first one did, and may come to another answer.
#[tokio::test(start_paused = true)]
async fn the_first_outcome_of_a_request_stands() {
    let sim = Sim::new(1, Faults::none());
    let owner = serve(&sim, 1).await;
    let mailbox = &owner.here.mailbox;
    let request = RequestId {
        id: Bytes::from_static(b"once"),
        fingerprint: 7,
    };
    let recalled = mailbox.ask(|slot| Job::Recall(request.clone(), slot)).await;
    assert!(matches!(recalled, Ok(Recall::New)));
    let (_, second) = crate::idempotency::encode(StatusCode::CONFLICT.into_response());
    let remember = || mailbox.ask(|slot| Job::Remember(request.clone(), second.clone(), slot));
    let (first, told) = tokio::join!(append_as(mailbox, 1, Some(request.clone())), remember());
    assert_eq!(first.unwrap().response.status(), StatusCode::OK);
    let told = told.unwrap();
    assert_eq!(
        told.response.status(),
        StatusCode::OK,
        "while it is written"
    );
    let again = remember().await.unwrap();
    assert_eq!(again.response.status(), StatusCode::OK, "and after it");
    assert_eq!(told.offset, again.offset);
    assert_eq!(items(&owner.here), [1]);
    owner.task.abort();
}

async fn fences(sim: &Sim) -> usize {
    let client = declared(sim).await;
    let chunk = client.read(&partition(), 0, usize::MAX).await.unwrap();
    let records = chunk.records.iter();
    records
        .filter(|(_, record)| record.kind == Kind::Fence)
        .count()
}

/// A command that looks and changes nothing.
async fn look(mailbox: &Mailbox<Pile>) -> Result<Answer, Refusal> {
    let asked = mailbox.ask(|slot| {
        Job::Command(Command {
            key: "a".to_owned(),
            conditions: Conditions::default(),
            request: None,
            run: Box::new(|entry: &mut Entry<Pile>| match entry.get() {
                Some(_) => StatusCode::OK.into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }),
            slot,
        })
    });
    asked.await
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_lease_asks_the_log() {
    let sim = Sim::new(1, Faults::none());
    let owner = serve(&sim, 1).await;
    append(&owner.here.mailbox, 1).await.unwrap();
    // Under the lease, reads and commands that change nothing write nothing.
    owner.here.read(false, just(&key()), |_| ()).await.unwrap();
    look(&owner.here.mailbox).await.unwrap();
    assert_eq!(fences(&sim).await, 0);
    owner.here.read(true, just(&key()), |_| ()).await.unwrap();
    assert_eq!(fences(&sim).await, 1);
    // Without it, the log is asked.
    owner.lease.store(false, Ordering::Relaxed);
    owner.here.read(false, just(&key()), |_| ()).await.unwrap();
    look(&owner.here.mailbox).await.unwrap();
    assert_eq!(fences(&sim).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_deposed_owner_without_a_lease_answers_nothing_and_leaves() {
    let sim = Sim::new(1, Faults::none());
    let old = serve(&sim, 1).await;
    append(&old.here.mailbox, 1).await.unwrap();
    let new = serve(&sim, 2).await;
    append(&new.here.mailbox, 2).await.unwrap();
    // As after a pause: it does not know yet.
    old.lease.store(false, Ordering::Relaxed);
    assert_eq!(
        old.here.read(false, just(&key()), |_| ()).await,
        Err(Refusal::Moved)
    );
    timeout(Duration::from_secs(5), old.task)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(
        append(&old.here.mailbox, 3).await,
        Err(Refusal::Moved)
    ));
    assert!(matches!(look(&old.here.mailbox).await, Err(Refusal::Moved)));
    append(&new.here.mailbox, 4).await.unwrap();
    assert_eq!(items(&new.here), [1, 2, 4]);
}

/// An owner that can write no barrier deposes nobody: whoever had the partition before may still write, and be acknowledged.
#[tokio::test(start_paused = true)]
async fn who_has_no_barrier_asks_the_log_for_each_read() {
    let sim = Sim::new(1, Faults::none());
    let old = serve(&sim, 1).await;
    append(&old.here.mailbox, 1).await.unwrap();
    sim.set_full(true);
    let new = serve(&sim, 2).await;
    assert_eq!(*new.here.phase.borrow(), Phase::Reading);
    let see = |memory: &Memory<Pile>| memory.with(&key(), |pile| pile.state.items.clone());
    let read = async || new.here.read(false, just(&key()), see).await;
    assert_eq!(read().await, Ok(Some(vec![1])), "without room, too");
    assert!(matches!(
        append(&new.here.mailbox, 2).await,
        Err(Refusal::Full(_))
    ));
    // There is room for a moment, and it is the first who uses it.
    let first_appends = async |item| {
        sim.set_full(false);
        append(&old.here.mailbox, item).await.unwrap();
        sim.set_full(true);
    };
    first_appends(3).await;
    assert_eq!(items(&new.here), [1], "nobody has looked");
    assert_eq!(read().await, Ok(Some(vec![1, 3])));
    // Feeds show it although nobody reads.
    first_appends(4).await;
    sleep(Duration::from_secs(11)).await;
    assert_eq!(items(&new.here), [1, 3, 4]);
    sim.set_full(false);
    append(&old.here.mailbox, 5).await.unwrap();
    assert_eq!(read().await, Ok(Some(vec![1, 3, 4, 5])));
    // That read has taken over, since there is room.
    assert_eq!(*new.here.phase.borrow(), Phase::Serving);
    assert!(matches!(
        append(&old.here.mailbox, 6).await,
        Err(Refusal::Moved)
    ));
}

/// As a process that was paused with a write on its way: it finds that nobody knows of its write, and may not have the partition back without the lock.
#[tokio::test(start_paused = true)]
async fn an_owner_without_a_lease_and_with_an_unknown_outcome_answers_nothing_of_before() {
    let sim = Sim::new(1, Faults::none());
    let old = serve(&sim, 1).await;
    append(&old.here.mailbox, 1).await.unwrap();
    sim.set_faults(Faults {
        ack_lost: 1.0,
        late_whole: 0.0,
        ..Faults::none()
    });
    let mailbox = old.here.mailbox.clone();
    let unknown = tokio::spawn(async move { append(&mailbox, 2).await });
    sleep(Duration::from_millis(10)).await;
    sim.set_faults(Faults::none());
    old.lease.store(false, Ordering::Relaxed);
    let new = serve(&sim, 2).await;
    append(&new.here.mailbox, 3).await.unwrap();
    // Some of them arrive while it finds that out.
    let mut reads = Vec::new();
    sleep(Duration::from_millis(430)).await;
    for _ in 0..60 {
        let here = old.here.clone();
        reads.push(tokio::spawn(async move {
            here.read(false, just(&key()), |memory| {
                memory.with(&"a".to_owned(), |pile| pile.state.items.clone())
            })
            .await
        }));
        sleep(Duration::from_millis(2)).await;
    }
    for read in reads {
        let read = read.await.unwrap();
        assert!(
            matches!(&read, Ok(Some(items)) if *items == [1, 3])
                || matches!(&read, Err(Refusal::Moved)),
            "{read:?}"
        );
    }
    assert!(matches!(unknown.await.unwrap(), Err(Refusal::Moved)));
    assert!(matches!(
        append(&old.here.mailbox, 4).await,
        Err(Refusal::Moved)
    ));
    timeout(Duration::from_secs(5), old.task)
        .await
        .unwrap()
        .unwrap();
    // Nobody has taken it from the new one, which may answer by its lease.
    append(&new.here.mailbox, 5).await.unwrap();
    assert_eq!(items(&new.here), [1, 3, 5]);
}

/// A lease that lapsed while the barrier was on its way: nothing is acknowledged until it is known that nobody else has the lock.
#[tokio::test(start_paused = true)]
async fn a_tenure_without_the_lock_acknowledges_nothing() {
    let sim = Sim::new(1, Faults::none());
    let owner = serve(&sim, 1).await;
    append(&owner.here.mailbox, 1).await.unwrap();
    sim.set_faults(Faults {
        ack_lost: 1.0,
        late_whole: 0.0,
        ..Faults::none()
    });
    let mailbox = owner.here.mailbox.clone();
    let unknown = tokio::spawn(async move { append(&mailbox, 2).await });
    sleep(Duration::from_millis(10)).await;
    sim.set_faults(Faults::none());
    owner.lease.store(false, Ordering::Relaxed);
    let settled = timeout(Duration::from_secs(60), unknown).await;
    assert!(matches!(settled.unwrap().unwrap(), Err(Refusal::Undone(_))));
    let waits = timeout(Duration::from_secs(60), append(&owner.here.mailbox, 3)).await;
    assert!(waits.is_err(), "{:?}", items(&owner.here));
    assert_eq!(items(&owner.here), [1]);
    owner.lease.store(true, Ordering::Relaxed);
    append(&owner.here.mailbox, 4).await.unwrap();
    assert_eq!(items(&owner.here).last(), Some(&4));
}

/// A repair that was under way when the owner was deposed is owed still.
#[test]
fn a_stale_record_stays_owed_until_a_valid_one_follows() {
    let mut fold = Fold::new(HORIZON);
    let record = |epoch, value: &'static str| crate::record::Record {
        place: None,
        ballot: crate::record::Ballot::new(epoch, 1),
        kind: Kind::Data,
        timestamp_ms: 0,
        schema: 0,
        answered: None,
        key: Bytes::from_static(b"a"),
        value: Some(Bytes::from_static(value.as_bytes())),
    };
    fold.step(0, &record(2, "new")).unwrap();
    fold.step(1, &record(1, "late")).unwrap();
    assert_eq!(fold.dirty().len(), 1);
    assert_eq!(fold.dirty().len(), 1, "looking takes nothing away");
    fold.step(2, &record(3, "again")).unwrap();
    assert!(fold.dirty().is_empty());
}
