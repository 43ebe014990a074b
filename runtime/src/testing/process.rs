//! A process of the simulation: what the code that runs in it has of tasks, chance, time, network, log, coordinator and disk.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::future::BoxFuture;

use super::{memory::Memories, network::Network, schedule::Schedule};
use crate::{
    clock::{Clock as _, SimulatedClock},
    coordinator::sim::Client as CoordinatorClient,
    log::sim::Client,
    snapshot::depot::memory::Memory as Depot,
};

/// No code of the simulation panics while it holds one of its locks, but for a test that has failed anyway.
pub(crate) const UNPOISONED: &str = "nothing panics while it holds this";

thread_local! {
    static CURRENT: RefCell<Option<Arc<Process>>> = const { RefCell::new(None) };
}

/// What a node has that outlives its process, and how it reaches the rest.
pub(crate) struct Machine {
    pub(crate) log: Arc<Client>,
    pub(crate) coordinator: Arc<CoordinatorClient>,
    pub(crate) depot: Depot,
}

/// A process of the simulation.
pub(crate) struct Process {
    host: IpAddr,
    schedule: Arc<Schedule>,
    network: Network,
    memories: Arc<Memories>,
    machine: OnceLock<Machine>,
    clock: Arc<SimulatedClock>,
    random: Mutex<fastrand::Rng>,
    numbers: AtomicU32,
    paused: AtomicBool,
    gone: AtomicBool,
    /// What drops each of its tasks.
    tasks: Mutex<BTreeMap<u64, Drops>>,
}

type Drops = Box<dyn FnOnce() + Send>;

impl Process {
    pub(crate) fn new(
        host: IpAddr,
        schedule: &Arc<Schedule>,
        network: &Network,
        clock: &Arc<SimulatedClock>,
        memories: &Arc<Memories>,
    ) -> Arc<Self> {
        Arc::new(Self {
            host,
            random: Mutex::new(schedule.fork()),
            numbers: AtomicU32::new(0),
            schedule: schedule.clone(),
            network: network.clone(),
            memories: memories.clone(),
            machine: OnceLock::new(),
            clock: clock.clone(),
            paused: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            tasks: Mutex::default(),
        })
    }

    /// The process whose task runs on this thread.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    pub(crate) fn host(&self) -> IpAddr {
        self.host
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn memories(&self) -> &Arc<Memories> {
        &self.memories
    }

    /// What belongs to a node. A process that is none has no log to open.
    pub(crate) fn machine(&self) -> &Machine {
        let machine = self.machine.get();
        machine.expect("services are started by `Cluster` in a simulation")
    }

    /// Makes it the process of a node.
    pub(crate) fn set_machine(&self, machine: Machine) {
        drop(self.machine.set(machine));
    }

    pub(crate) fn clock(&self) -> Arc<SimulatedClock> {
        self.clock.clone()
    }

    pub(crate) fn random(&self) -> u128 {
        self.random.lock().expect(UNPOISONED).u128(..)
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().wall_ms
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Stops all of its tasks where they are, or lets them go on.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        self.schedule.look();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Ends it between two instructions: nothing of it runs any more.
    pub(crate) fn kill(self: &Arc<Self>) {
        self.gone.store(true, Ordering::Relaxed);
        let tasks = std::mem::take(&mut *self.tasks.lock().expect(UNPOISONED));
        let _entered = self.enter();
        for drops in tasks.into_values() {
            drops();
        }
    }

    /// Makes a future a task of this process.
    pub(crate) fn task<F>(self: &Arc<Self>, future: F) -> BoxFuture<'static, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.is_gone() {
            return Box::pin(std::future::pending());
        }
        let gate = self.gate();
        let future: BoxFuture<'static, F::Output> = Box::pin(future);
        let future = Arc::new(Mutex::new(Some(future)));
        let held = Arc::clone(&future);
        let drops = Box::new(move || {
            let future = held.lock().expect(UNPOISONED).take();
            drop(future);
        });
        self.tasks().insert(gate.id, drops);
        Box::pin(Task { gate, future })
    }

    /// Runs a future in turn with all tasks, wherever it is.
    pub(crate) async fn run<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        let (gate, mut future) = (self.gate(), pin!(future));
        let waker = Waker::from(gate.clone());
        poll_fn(|context| {
            let Some(_entered) = gate.turn(context) else {
                return Poll::Pending;
            };
            future.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }

    fn gate(self: &Arc<Self>) -> Arc<Gate> {
        Arc::new(Gate {
            id: self.schedule.new_task(),
            process: self.clone(),
            state: Mutex::default(),
        })
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<u64, Drops>> {
        self.tasks.lock().expect(UNPOISONED)
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        Entered(CURRENT.replace(Some(self.clone())))
    }
}

/// For as long as it lives, code on this thread runs in a process.
pub(crate) struct Entered(Option<Arc<Process>>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Lets a task run when it is its turn, and not whenever tokio would.
pub(crate) struct Gate {
    pub(crate) id: u64,
    process: Arc<Process>,
    state: Mutex<GateState>,
}

#[derive(Default)]
struct GateState {
    opened: bool,
    over: bool,
    /// What wakes the task of tokio.
    waker: Option<Waker>,
}

impl Gate {
    pub(crate) fn may_run(&self) -> bool {
        !self.process.is_paused()
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().expect(UNPOISONED)
    }

    /// Whether the task that tokio runs now has its turn. If so, it is in its process.
    fn turn(self: &Arc<Self>, context: &Context<'_>) -> Option<Entered> {
        let mut state = self.state();
        let first = state.waker.is_none();
        state.waker = Some(context.waker().clone());
        if std::mem::take(&mut state.opened) {
            return Some(self.process.enter());
        }
        drop(state);
        if first {
            self.clone().wake();
        }
        None
    }

    /// It is this task's turn.
    pub(crate) fn open(&self) {
        let mut state = self.state();
        state.opened = true;
        if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        if !self.state().over && !self.process.is_gone() {
            self.process.schedule.clone().ready(self);
        }
    }
}

struct Task<T> {
    gate: Arc<Gate>,
    future: Arc<Mutex<Option<BoxFuture<'static, T>>>>,
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(_entered) = self.gate.turn(context) else {
            return Poll::Pending;
        };
        let mut held = self.future.lock().expect(UNPOISONED);
        let Some(future) = held.as_mut() else {
            return Poll::Pending;
        };
        let waker = Waker::from(self.gate.clone());
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            *held = None;
        }
        polled
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.gate.state().over = true;
        self.gate.process.schedule.forget(self.gate.id);
        let drops = self.gate.process.tasks().remove(&self.gate.id);
        let _entered = self.gate.process.enter();
        // A task that panicked has left its lock poisoned; what is left of it goes with it.
        if let Ok(mut held) = self.future.lock() {
            let future = held.take();
            drop(held);
            drop(future);
        }
        drop(drops);
    }
}
