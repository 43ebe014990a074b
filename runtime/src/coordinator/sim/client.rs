//! The coordinator as one node sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Sim, UNPOISONED,
    ensemble::{Ensemble, SessionId, unconnected},
};
use crate::{
    ambient::{select, spawn},
    coordinator::{Coordinator, CoordinatorError, Holder, Lock, Node, View},
    log::{Topic, TopicPartition},
    plan::Assignment,
};

/// How soon a node that was not heard tries again.
const RETRY: Duration = Duration::from_millis(50);

/// The share of the time-out of a session after which a node says again that it is there, and after which it gives an answer up: a beat, its answer and one more request fit in a session.
const SHARE: u32 = 4;

/// The coordinator, as one node sees it.
#[derive(Debug)]
pub struct Client {
    sim: Sim,
    shown: watch::Sender<Arc<View>>,
    state: Mutex<State>,
    cut_off: AtomicBool,
    mended: Notify,
    /// What a node asks for arrives in the order in which it was asked for.
    turn: tokio::sync::Mutex<()>,
    /// Something is to be said with the next beat, which is due now.
    beat: Notify,
}

#[derive(Debug, Default)]
struct State {
    session: Option<SessionId>,
    /// The last one that it was told of to have ended.
    ended: Option<SessionId>,
    /// Nobody else gets what this session holds before.
    lease: Option<Instant>,
    /// What the node is announced as.
    me: Option<Node>,
    left: bool,
    /// Which version of the view was shown last.
    version: u64,
    locks: Vec<Weak<Held>>,
    /// Locks that were asked for, and nobody knows what came of it.
    unanswered: BTreeSet<TopicPartition>,
}

/// What is known of a lock that this node got.
#[derive(Debug)]
struct Held {
    partition: TopicPartition,
    number: u64,
    session: SessionId,
    /// The version of the view that shows it.
    since: u64,
    released: AtomicBool,
    lost: AtomicBool,
}

impl Client {
    pub(super) fn start(sim: Sim) -> Arc<Self> {
        let (_, view) = sim.lock().view();
        let client = Arc::new(Self {
            shown: watch::Sender::new(unconnected(&view)),
            sim,
            state: Mutex::default(),
            cut_off: AtomicBool::new(false),
            mended: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            beat: Notify::new(),
        });
        drop(spawn(beat(Arc::downgrade(&client))));
        drop(spawn(follow(Arc::downgrade(&client))));
        client
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        self.state().session
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// The node hears that its session has ended: nothing is its own any more.
    pub(super) fn forget_session(&self) {
        let mut state = self.state();
        state.ended = state.session.take();
        state.lease = None;
        for held in state.locks.drain(..).filter_map(|held| held.upgrade()) {
            held.lost.store(true, Ordering::Release);
        }
    }

    pub(super) fn set_cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::Relaxed);
        if !cut_off {
            self.mended.notify_waiters();
        }
    }

    /// One way, there or back: as long as it takes.
    async fn pass(&self) {
        let delay = self.sim.lock().delay();
        sleep(delay).await;
        loop {
            let mended = self.mended.notified();
            if !self.cut_off.load(Ordering::Relaxed) {
                return;
            }
            mended.await;
        }
    }

    /// Asks the ensemble for something. Whether it was done is not known if there is no answer.
    async fn ask<T>(&self, act: impl FnOnce(&mut Ensemble) -> T) -> Result<T, CoordinatorError> {
        let asked = async {
            let turn = self.turn.lock().await;
            self.pass().await;
            let done = self.sim.change(act);
            drop(turn);
            self.pass().await;
            done
        };
        let patience = self.sim.session_timeout / SHARE;
        let answered = timeout(patience, asked).await;
        answered.map_err(|_| CoordinatorError::Unreachable("it does not answer".to_owned()))
    }

    fn joined(&self) -> Result<(SessionId, Node), CoordinatorError> {
        let state = self.state();
        let joined = state.session.zip(state.me.clone());
        joined.ok_or_else(|| CoordinatorError::Unreachable("this node is not a member".to_owned()))
    }

    /// Says that the node is there, and what is new of it.
    async fn say(&self) -> Result<(), CoordinatorError> {
        let sent = Instant::now();
        let (session, me) = {
            let state = self.state();
            (state.session, state.me.clone())
        };
        let heard = self.ask(move |ensemble| {
            let now = Instant::now();
            let alive = session.filter(|session| ensemble.hear(*session, now));
            let session = alive.unwrap_or_else(|| ensemble.begin(now));
            if let Some(me) = &me {
                // Another one may have the name: then it is said again.
                drop(ensemble.announce(session, me));
            }
            session
        });
        let heard = heard.await?;
        let mut state = self.state();
        if state.ended == Some(heard) {
            let why = "the session has ended meanwhile".to_owned();
            return Err(CoordinatorError::Unreachable(why));
        }
        if state.session != Some(heard) {
            state.session = Some(heard);
            for held in state.locks.drain(..).filter_map(|held| held.upgrade()) {
                held.lost.store(true, Ordering::Release);
            }
        }
        state.lease = Some(sent + self.sim.session_timeout * 3 / 4);
        Ok(())
    }

    fn show(&self, connected: bool) {
        self.shown.send_if_modified(|view| {
            let changed = view.connected != connected;
            if changed {
                Arc::make_mut(view).connected = connected;
            }
            changed
        });
    }

    /// Shows a view that has come. It says also which locks somebody else has removed.
    fn show_view(&self, version: u64, view: View) {
        let mut state = self.state();
        if version <= state.version {
            return;
        }
        state.version = version;
        state.locks.retain(|held| {
            let Some(held) = held.upgrade() else {
                return false;
            };
            let holder = view.holders.get(&held.partition);
            let holds = holder.is_some_and(|holder| holder.lock == held.number);
            if held.since <= version && !holds {
                held.lost.store(true, Ordering::Release);
            }
            true
        });
        drop(state);
        let connected = self.shown.borrow().connected;
        self.shown
            .send_replace(Arc::new(View { connected, ..view }));
    }

    async fn acquired(
        self: &Arc<Self>,
        partition: &TopicPartition,
    ) -> Result<Option<Arc<dyn Lock>>, CoordinatorError> {
        let (session, me) = self.joined()?;
        let unanswered = !self.state().unanswered.insert(partition.clone());
        let asked = self.ask(|ensemble| {
            let mine = unanswered && ensemble.is_held_by(partition, session);
            let number = if mine {
                ensemble.number(partition)
            } else {
                ensemble.acquire(session, &me, partition)?
            };
            Ok(number.map(|number| (number, ensemble.version)))
        });
        let taken = match asked.await {
            // If it was taken all the same, it is looked up the next time.
            Err(unreachable) => return Err(unreachable),
            Ok(answer) => answer,
        };
        let mut state = self.state();
        state.unanswered.remove(partition);
        let Some((number, since)) = taken? else {
            return Ok(None);
        };
        let held = Arc::new(Held {
            partition: partition.clone(),
            number,
            session,
            since,
            released: AtomicBool::new(false),
            lost: AtomicBool::new(state.session != Some(session)),
        });
        state.locks.push(Arc::downgrade(&held));
        drop(state);
        Ok(Some(Arc::new(SimLock {
            client: self.clone(),
            held,
        })))
    }
}

/// Says again and again that the node is there, and at once what is new.
async fn beat(client: Weak<Client>) {
    while let Some(client) = client.upgrade() {
        if client.state().left {
            return;
        }
        let said = client.say().await.is_ok();
        client.show(said);
        let pause = if said {
            client.sim.session_timeout / SHARE
        } else {
            RETRY
        };
        drop(timeout(pause, client.beat.notified()).await);
    }
}

/// Shows what the ensemble shows, a little later.
async fn follow(client: Weak<Client>) {
    let Some(mut changed) = client
        .upgrade()
        .map(|client| client.sim.changed.subscribe())
    else {
        return;
    };
    changed.mark_changed();
    loop {
        let next_end = match client.upgrade() {
            Some(client) => client.sim.lock().next_end(),
            None => return,
        };
        let ends = async {
            match next_end {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        select! {
            changed = changed.changed() => if changed.is_err() { return },
            () = ends => {}
        }
        let Some(client) = client.upgrade() else {
            return;
        };
        client.sim.change(|_| ());
        changed.mark_unchanged();
        let (version, view) = client.sim.lock().view();
        client.pass().await;
        client.show_view(version, view);
    }
}

/// What a node does by itself with a coordinator that all of its parts share.
#[derive(Clone, Debug)]
pub struct Shared(pub Arc<Client>);

impl Coordinator for Shared {
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), CoordinatorError>> {
        async move { self.0.ask(|ensemble| ensemble.declare(topic)).await? }.boxed()
    }

    fn join(&self, node: Node) -> BoxFuture<'_, Result<(), CoordinatorError>> {
        async move {
            let client = &self.0;
            let timeout = client.sim.session_timeout;
            let mut waited = Duration::ZERO;
            loop {
                let began = Instant::now();
                let session = client.session();
                let asked = client.ask(|ensemble| {
                    let session = session.unwrap_or(0);
                    ensemble.announce(session, &node)
                });
                match asked.await.flatten() {
                    Ok(()) => break,
                    Err(error) if waited >= timeout * 2 => return Err(error),
                    Err(_) => {
                        client.beat.notify_one();
                        sleep(RETRY).await;
                    }
                }
                // Who was paused meanwhile has not waited: the next session is worth a try.
                waited += began.elapsed().min(timeout / SHARE + RETRY);
            }
            client.state().me = Some(node);
            client.beat.notify_one();
            Ok(())
        }
        .boxed()
    }

    fn update(&self, change: &mut dyn FnMut(&mut Node)) {
        let mut state = self.0.state();
        let Some(me) = &mut state.me else { return };
        let before = me.clone();
        change(me);
        if *me != before {
            self.0.beat.notify_one();
        }
    }

    fn view(&self) -> watch::Receiver<Arc<View>> {
        self.0.shown.subscribe()
    }

    fn acquire<'a>(
        &'a self,
        partition: &'a TopicPartition,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Lock>>, CoordinatorError>> {
        self.0.acquired(partition).boxed()
    }

    fn remove<'a>(
        &'a self,
        partition: &'a TopicPartition,
        holder: &'a Holder,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>> {
        let removed = self
            .0
            .ask(move |ensemble| ensemble.release(partition, |now| now == holder));
        removed.boxed()
    }

    fn publish<'a>(
        &'a self,
        seen: u64,
        assignments: &'a BTreeMap<TopicPartition, Assignment>,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>> {
        async move {
            let Some(session) = self.0.session() else {
                return Ok(false);
            };
            let published = self
                .0
                .ask(|ensemble| ensemble.publish(session, seen, assignments));
            published.await
        }
        .boxed()
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        async move {
            let session = {
                let mut state = self.0.state();
                state.left = true;
                state.me = None;
                for held in state.locks.drain(..).filter_map(|held| held.upgrade()) {
                    held.lost.store(true, Ordering::Release);
                }
                state.session.take()
            };
            self.0.beat.notify_one();
            if let Some(session) = session {
                // Who is cut off is gone when the session ends.
                drop(self.0.ask(|ensemble| ensemble.end(session)).await);
            }
        }
        .boxed()
    }
}

struct SimLock {
    client: Arc<Client>,
    held: Arc<Held>,
}

impl SimLock {
    /// It holds no more from now on; what tells the ensemble.
    fn give_back(&self) -> Option<BoxFuture<'static, ()>> {
        if self.held.released.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (client, held) = (self.client.clone(), self.held.clone());
        let told = async move {
            let (partition, number) = (&held.partition, held.number);
            // Until it is told, or nobody has it any more.
            while client.sim.lock().is_held(partition, number) {
                let told = client
                    .ask(|ensemble| ensemble.release(partition, |holder| holder.lock == number));
                if told.await.is_err() {
                    sleep(RETRY).await;
                }
            }
        };
        Some(told.boxed())
    }
}

impl Lock for SimLock {
    fn holds(&self) -> bool {
        let state = self.client.state();
        !self.held.released.load(Ordering::Acquire)
            && !self.held.lost.load(Ordering::Acquire)
            && state.session == Some(self.held.session)
            && state.lease.is_some_and(|lease| Instant::now() < lease)
    }

    fn is_lost(&self) -> bool {
        self.held.lost.load(Ordering::Acquire)
    }

    fn release(&self) -> BoxFuture<'static, ()> {
        let Some(told) = self.give_back() else {
            return std::future::ready(()).boxed();
        };
        let told = spawn(told);
        async move { drop(told.await) }.boxed()
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if tokio::runtime::Handle::try_current().is_ok()
            && let Some(told) = self.give_back()
        {
            drop(spawn(told));
        }
    }
}
