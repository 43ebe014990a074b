//! What the parts of one node's coordinator share.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, watch},
    time::timeout,
};
use tracing::warn;

use super::{
    layout::{HolderEntry, Place},
    locks::Claims,
    root::{Root, RootError},
    session::Session,
};
use crate::coordinator::{CoordinatorError, Node, View};

/// So many times the session's time-out a connection is waited for.
const PATIENCE: u32 = 5;

/// How it stands with the ensemble.
#[derive(Clone, Debug)]
pub(super) enum Connection {
    /// There is no session: why not.
    None(String),
    /// What lies there is not ours, or access is denied.
    Refused(String),
    /// There is a session. Whether it is connected is said by the view.
    Session(Arc<Session>),
    /// The node has left, and its session is closed.
    Left,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) root: Root,
    /// What was asked for.
    pub(super) session_timeout: Duration,
    pub(super) runtime: Handle,
    pub(super) connection: watch::Sender<Connection>,
    pub(super) view: watch::Sender<Arc<View>>,
    pub(super) claims: Claims,
    /// This node, while it is a member.
    member: Mutex<Option<Node>>,
    /// It changed, or it has to be announced anew.
    pub(super) member_changed: Notify,
    /// What is to be looked at without a watch's word.
    look_again: mpsc::UnboundedSender<Place>,
    pub(super) stop: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(
        root: Root,
        session_timeout: Duration,
        look_again: mpsc::UnboundedSender<Place>,
    ) -> Self {
        Self {
            root,
            session_timeout,
            runtime: Handle::current(),
            connection: watch::Sender::new(Connection::None("it was not reached yet".to_owned())),
            view: watch::Sender::default(),
            claims: Claims::default(),
            member: Mutex::default(),
            member_changed: Notify::new(),
            look_again,
            stop: watch::Sender::new(false),
        }
    }

    fn member_slot(&self) -> MutexGuard<'_, Option<Node>> {
        self.member.lock().expect("nothing in here panics")
    }

    /// This node, while it is a member.
    pub(super) fn member(&self) -> Option<Node> {
        self.member_slot().clone()
    }

    pub(super) fn become_member(&self, node: Node) {
        *self.member_slot() = Some(node);
        // It may have to make the plan.
        self.look_again(Place::Planner);
    }

    pub(super) fn update(&self, change: &mut dyn FnMut(&mut Node)) {
        let mut slot = self.member_slot();
        let Some(node) = slot.as_mut() else { return };
        let before = node.clone();
        change(node);
        if *node != before {
            self.member_changed.notify_one();
        }
    }

    /// Nothing is held any more, and nothing will be.
    pub(super) fn leave(&self) {
        *self.member_slot() = None;
        self.claims.lose_all();
        self.stop.send_replace(true);
    }

    /// How this node signs what it holds.
    pub(super) fn holder_entry(&self) -> Option<HolderEntry> {
        self.member_slot().as_ref().map(|node| HolderEntry {
            node: node.id.clone(),
            incarnation: node.incarnation,
        })
    }

    pub(super) fn look_again(&self, place: Place) {
        // Nobody listens after the end, and then nothing needs it.
        let _ = self.look_again.send(place);
    }

    /// The view is as it was last seen.
    pub(super) fn disconnected(&self) {
        self.view.send_if_modified(|view| {
            let was = view.connected;
            if was {
                Arc::make_mut(view).connected = false;
            }
            was
        });
    }

    /// The session, if it is connected now.
    pub(super) fn connected_session(&self) -> Result<Arc<Session>, CoordinatorError> {
        match &*self.connection.borrow() {
            Connection::Refused(why) => Err(CoordinatorError::Refused(why.clone())),
            Connection::Session(session) if self.view.borrow().connected => Ok(session.clone()),
            Connection::Session(_) => Err(CoordinatorError::Unreachable(
                "the connection is broken".to_owned(),
            )),
            Connection::None(why) => Err(CoordinatorError::Unreachable(why.clone())),
            Connection::Left => Err(CoordinatorError::Unreachable(
                "this node has left".to_owned(),
            )),
        }
    }

    /// The session, once it is connected. A node that starts waits for an ensemble that starts, too: it takes connections and breaks them again until it
    /// has a leader.
    pub(super) async fn session(&self) -> Result<Arc<Session>, CoordinatorError> {
        let (mut view, mut connection) = (self.view.subscribe(), self.connection.subscribe());
        let waited = timeout(self.session_timeout * PATIENCE, async {
            loop {
                match self.connected_session() {
                    Err(CoordinatorError::Unreachable(_)) => {}
                    known => return known,
                }
                tokio::select! {
                    _ = view.changed() => {}
                    _ = connection.changed() => {}
                }
            }
        });
        waited.await.unwrap_or_else(|_| self.connected_session())
    }

    /// Waits until this session is connected again.
    pub(super) async fn connected(&self, session: &Arc<Session>) -> Result<(), CoordinatorError> {
        let now = self.session().await?;
        if Arc::ptr_eq(&now, session) {
            Ok(())
        } else {
            Err(CoordinatorError::Unreachable(
                "the session was lost".to_owned(),
            ))
        }
    }

    /// Makes the root again after somebody deleted it.
    pub(super) async fn set_up_again(&self, session: &Session) {
        let Ok(client) = session.client() else { return };
        let Ok(client) = client.chroot("/") else {
            return;
        };
        match self.root.set_up(client).await {
            Ok(_) => {}
            Err(RootError::Refused(why)) => warn!("{why}"),
            Err(RootError::Failed(error)) => warn!(%error, "the root can't be made"),
        }
    }
}
