//! Writers that come and go, and the messages between them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{HORIZON, Pile, partition};
use crate::{
    budget::Budget,
    coordinator::Lock,
    log::{
        TopicPartition,
        sim::{Client, Sim},
    },
    mailbox::{Job, Mailbox, Slot, TxJob},
    memory::Memory,
    metrics::Metrics,
    migration::Readers,
    replica::Replica,
    tx::{Attempt, Fate, Lost, Others, Poll, Prepare, TxId, Vote},
    writer::{Bounds, Order, Phase, Writer},
};

/// A writer, at a node of its own.
pub(super) struct Cell {
    pub(super) client: Arc<Client>,
    lease: Arc<AtomicBool>,
    pub(super) mailbox: Mailbox<Pile>,
    pub(super) memory: Arc<Memory<Pile>>,
    pub(super) incarnation: u64,
    pub(super) task: JoinHandle<()>,
}

impl Cell {
    /// One that hears and does nothing, for as long as the other is kept.
    pub(super) fn silenced(self) -> (Self, mpsc::Receiver<Job<Pile>>) {
        self.task.abort();
        let (mailbox, inbox) = Mailbox::new(1000);
        (Self { mailbox, ..self }, inbox)
    }
}

/// By partition: the owner is the last, the others were.
pub(super) type Cells = Arc<Mutex<Vec<Vec<Cell>>>>;

/// A lock that one may believe to have for a while after it is lost: the log decides.
struct Leased(Arc<AtomicBool>);

impl Lock for Leased {
    fn holds(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn is_lost(&self) -> bool {
        !self.holds()
    }

    fn release(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

pub(super) fn start(sim: &Sim, number: u32, incarnation: u64, network: Arc<Network>) -> Cell {
    start_within(Arc::default(), sim, number, incarnation, network)
}

/// One whose memory is bounded.
pub(super) fn start_within(
    budget: Arc<Budget>,
    sim: &Sim,
    number: u32,
    incarnation: u64,
    network: Arc<Network>,
) -> Cell {
    let client = Arc::new(sim.client());
    let log = client.clone();
    let replica = Replica::new(log, partition(number), HORIZON, Readers::current(0));
    let memory = replica.memory().clone();
    let lease = Arc::new(AtomicBool::new(true));
    let (mailbox, inbox) = Mailbox::new(1000);
    let (phase, _) = watch::channel(Phase::Starting);
    let (orderer, orders) = watch::channel(Order::Serve);
    let writer = Writer {
        replica,
        inbox,
        mailbox: mailbox.downgrade(),
        others: Arc::new(network),
        schemas: Arc::default(),
        phase,
        orders,
        lock: Arc::new(Leased(lease.clone())),
        bounds: Bounds {
            group_records_max: 8,
            group_bytes_max: 1 << 20,
            value_bytes_max: 1 << 20,
        },
        budget,
        metrics: Metrics::new().partition(&partition(number)),
        incarnation,
    };
    let task = tokio::spawn(async move {
        let _orderer = orderer;
        drop(writer.run().await);
    });
    Cell {
        client,
        lease,
        mailbox,
        memory,
        incarnation,
        task,
    }
}

/// The messages between writers.
pub(super) struct Network {
    cells: Cells,
    random: Mutex<fastrand::Rng>,
    quiet: AtomicBool,
}

impl Network {
    pub(super) fn new(cells: Cells, random: fastrand::Rng) -> Self {
        Self {
            cells,
            random: Mutex::new(random),
            quiet: AtomicBool::new(false),
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn set_quiet(&self) {
        self.quiet.store(true, Ordering::SeqCst);
    }

    fn happens(&self, share: f64) -> bool {
        !self.quiet.load(Ordering::SeqCst) && self.random.lock().unwrap().f64() < share
    }

    fn within(&self, most_ms: u64) -> Duration {
        Duration::from_millis(self.random.lock().unwrap().u64(1..most_ms))
    }

    /// Another node owns the partition from now on. The one before has crashed, or goes, or does not know it yet.
    pub(super) fn replace(self: &Arc<Self>, number: u32, fresh: Cell, sim: &Sim) {
        let mut cells = self.cells.lock().unwrap();
        let cells = &mut cells[number as usize];
        if self.happens(0.5) {
            for gone in cells.drain(..) {
                gone.task.abort();
                sim.crash(&gone.client);
            }
        } else if let Some(before) = cells.last() {
            let lease = before.lease.clone();
            let after = self.within(3000);
            tokio::spawn(async move {
                sleep(after).await;
                lease.store(false, Ordering::SeqCst);
            });
        }
        cells.push(fresh);
        let many = cells.len().saturating_sub(3);
        for gone in cells.drain(..many) {
            gone.task.abort();
            sim.crash(&gone.client);
        }
    }

    fn mailbox(&self, to: &TopicPartition) -> Mailbox<Pile> {
        let stale = self.happens(0.1);
        let cells = self.cells.lock().unwrap();
        let cells = &cells[to.partition as usize];
        let index = if stale {
            self.random.lock().unwrap().usize(..cells.len())
        } else {
            cells.len() - 1
        };
        cells[index].mailbox.clone()
    }

    /// A message, and the answer.
    async fn tell<T: Send + 'static>(
        self: Arc<Self>,
        to: TopicPartition,
        once: bool,
        job: impl Fn(Slot<T>) -> TxJob + Send + Clone + 'static,
    ) -> Result<T, Lost> {
        let lost = || Lost("lost".to_owned());
        if self.happens(0.05) {
            return Err(lost());
        }
        if !once && self.happens(0.2) {
            let (again, to, job) = (self.clone(), to.clone(), job.clone());
            tokio::spawn(async move {
                sleep(again.within(3000)).await;
                let (slot, _) = oneshot::channel();
                drop(again.mailbox(&to).send(Job::Tx(job(slot))));
            });
        }
        let late = self.happens(0.1);
        sleep(self.within(if late { 3000 } else { 15 })).await;
        let (slot, answer) = oneshot::channel();
        if self.mailbox(&to).send(Job::Tx(job(slot))).is_err() {
            return Err(lost());
        }
        let answer = timeout(Duration::from_secs(3), answer).await;
        sleep(self.within(15)).await;
        match answer {
            Ok(Ok(Ok(answer))) if !self.happens(0.05) => Ok(answer),
            _ => Err(lost()),
        }
    }

    /// What is sent once arrives once, even if nobody waits for the answer any longer.
    fn spawned<T: Send + 'static>(
        told: impl Future<Output = Result<T, Lost>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Lost>> {
        let told = tokio::spawn(told);
        async move { told.await.unwrap_or_else(|_| Err(Lost("lost".to_owned()))) }.boxed()
    }
}

impl Others for Arc<Network> {
    fn prepare(
        &self,
        to: &TopicPartition,
        prepare: Prepare,
    ) -> BoxFuture<'static, Result<Vote, Lost>> {
        let job = move |slot| TxJob::Prepare(Box::new(prepare.clone()), slot);
        Network::spawned(self.clone().tell(to.clone(), true, job))
    }

    fn poll(&self, to: &TopicPartition, poll: Poll) -> BoxFuture<'static, Result<bool, Lost>> {
        let job = move |slot| TxJob::Poll(poll.clone(), slot);
        Network::spawned(self.clone().tell(to.clone(), false, job))
    }

    fn finish(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>> {
        let job = move |slot| TxJob::Finish(id, attempt, Some(slot));
        Network::spawned(self.clone().tell(to.clone(), false, job))
    }

    fn abort(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>> {
        let job = move |slot: Slot<()>| {
            drop(slot);
            TxJob::Abort(id, attempt)
        };
        Network::spawned(self.clone().tell(to.clone(), false, job))
    }

    fn ask(
        &self,
        home: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<Fate, Lost>> {
        let job = move |slot| TxJob::Ask(id, attempt, slot);
        Network::spawned(self.clone().tell(home.clone(), false, job))
    }
}
