//! The network of a simulation: connections in memory, whose bytes take their time, and which can be cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::Waker,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

use super::process::UNPOISONED;

mod pipe;

use self::pipe::Pipe;
pub(crate) use self::pipe::SimStream;

/// Where clients are.
pub(crate) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1));

/// The network. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Network(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    /// The longest time that bytes take on their way.
    latency_max: Duration,
    listeners: BTreeMap<SocketAddr, Accepts>,
    /// From where to where nothing gets through.
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    /// Who is to look again once one of them is mended.
    waiting: Vec<Waker>,
    mended: Arc<Notify>,
    pipes: Vec<Weak<Pipe>>,
    port: u16,
    listened: u64,
}

#[derive(Debug)]
struct Accepts {
    id: u64,
    sender: mpsc::UnboundedSender<(SimStream, SocketAddr)>,
}

impl Network {
    pub(crate) fn new(random: fastrand::Rng) -> Self {
        Self(Arc::new(Mutex::new(State {
            random,
            latency_max: Duration::from_millis(2),
            listeners: BTreeMap::new(),
            cuts: BTreeSet::new(),
            waiting: Vec::new(),
            mended: Arc::default(),
            pipes: Vec::new(),
            port: 30_000,
            listened: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect(UNPOISONED)
    }

    pub(crate) fn set_latency_max(&self, latency_max: Duration) {
        self.state().latency_max = latency_max;
    }

    /// From now on nothing gets from one host to another: it waits; or it gets through again.
    pub(crate) fn set_cut(&self, from: IpAddr, to: IpAddr, cut: bool) {
        let waiting = {
            let mut state = self.state();
            if cut {
                state.cuts.insert((from, to));
                return;
            }
            state.cuts.remove(&(from, to));
            state.mended.notify_waiters();
            std::mem::take(&mut state.waiting)
        };
        for waker in waiting {
            waker.wake();
        }
    }

    pub(crate) fn heal(&self) {
        let cuts: Vec<_> = self.state().cuts.iter().copied().collect();
        for (from, to) in cuts {
            self.set_cut(from, to, false);
        }
    }

    /// All connections between two hosts break.
    pub(crate) fn break_connections(&self, one: IpAddr, other: IpAddr) {
        let pipes: Vec<_> = {
            let mut state = self.state();
            state.pipes.retain(|pipe| pipe.strong_count() > 0);
            state.pipes.iter().filter_map(Weak::upgrade).collect()
        };
        for pipe in pipes {
            if pipe.is_between(one, other) {
                pipe.reset();
            }
        }
    }

    fn is_cut(&self, from: IpAddr, to: IpAddr) -> bool {
        self.state().cuts.contains(&(from, to))
    }

    /// Whether nothing gets through; if so, the task is woken when it may.
    fn waits(&self, from: IpAddr, to: IpAddr, waker: &Waker) -> bool {
        let mut state = self.state();
        let cut = state.cuts.contains(&(from, to));
        if cut {
            state.waiting.push(waker.clone());
        }
        cut
    }

    fn latency(&self) -> Duration {
        let mut state = self.state();
        let most = u64::try_from(state.latency_max.as_millis()).unwrap_or(u64::MAX);
        // Half of all is as good as there at once: timers count in milliseconds.
        if most == 0 || state.random.bool() {
            return Duration::ZERO;
        }
        Duration::from_millis(state.random.u64(1..=most))
    }

    /// Listens at an address.
    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<SimListener> {
        let mut state = self.state();
        if state.listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, accepted) = mpsc::unbounded_channel();
        state.listened += 1;
        let id = state.listened;
        state.listeners.insert(address, Accepts { id, sender });
        Ok(SimListener {
            network: self.clone(),
            address,
            id,
            accepted,
        })
    }

    /// Opens a connection. While the way is cut it waits, and a host at which nobody listens refuses it.
    pub(crate) async fn connect(&self, from: IpAddr, to: SocketAddr) -> io::Result<SimStream> {
        sleep(self.latency()).await;
        self.reach(from, to.ip()).await;
        let opened = self.open(from, to);
        // What says whether it was.
        self.reach(to.ip(), from).await;
        opened
    }

    fn open(&self, from: IpAddr, to: SocketAddr) -> io::Result<SimStream> {
        let mut state = self.state();
        let listener = state.listeners.get(&to);
        let sender = listener.map(|accepts| accepts.sender.clone());
        let sender = sender.ok_or(io::ErrorKind::ConnectionRefused)?;
        state.port = state.port.checked_add(1).unwrap_or(30_000);
        let near = SocketAddr::new(from, state.port);
        let there = Pipe::new(self, from, to.ip());
        let back = Pipe::new(self, to.ip(), from);
        if state.pipes.len() > 64 {
            state.pipes.retain(|pipe| pipe.strong_count() > 0);
        }
        state.pipes.push(Arc::downgrade(&there));
        state.pipes.push(Arc::downgrade(&back));
        drop(state);
        let far = SimStream::new(there.clone(), back.clone());
        if sender.send((far, near)).is_err() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(SimStream::new(back, there))
    }

    /// Waits for as long as nothing gets from one host to another.
    async fn reach(&self, from: IpAddr, to: IpAddr) {
        loop {
            let mended = self.state().mended.clone();
            let mended = mended.notified();
            if !self.is_cut(from, to) {
                return;
            }
            mended.await;
        }
    }
}

/// What listens at an address of the network.
#[derive(Debug)]
pub(crate) struct SimListener {
    network: Network,
    address: SocketAddr,
    id: u64,
    accepted: mpsc::UnboundedReceiver<(SimStream, SocketAddr)>,
}

impl SimListener {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn accept(&mut self) -> (SimStream, SocketAddr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.network.state();
        let mine = |accepts: &Accepts| accepts.id == self.id;
        if state.listeners.get(&self.address).is_some_and(mine) {
            let gone = state.listeners.remove(&self.address);
            drop(state);
            drop(gone);
        }
    }
}
