//! A session with the ensemble, over as many connections and clients as it takes.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout};
use zookeeper_client::{Client, CreateMode, Error, SessionInfo};

use super::{
    layout,
    lease::{Lease, Moment},
    root::Root,
};

/// How often the lease is renewed, as a part of the session's time-out.
///
/// The server tells the leader of a session's signs of life twice a tick at least. For the leader's own clock not to be ahead of the lease, this and half a tick must
/// fit into the quarter of the time-out that the lease leaves.
const RENEWALS: u32 = 10;
/// How long a session may take to close.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// A session. Its end is final; the next one has nothing of it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: i64,
    /// As negotiated.
    pub(super) timeout: Duration,
    pub(super) lease: Lease,
    /// None once it was closed.
    client: Mutex<Option<Client>>,
}

impl Session {
    pub(super) fn new(client: Client) -> Self {
        let timeout = client.session_timeout();
        Self {
            id: client.session_id().0,
            timeout,
            lease: Lease::new(timeout),
            client: Mutex::new(Some(client)),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().expect("nothing in here panics")
    }

    /// The client, with the root as its root.
    pub(super) fn client(&self) -> Result<Client, Error> {
        self.slot().clone().ok_or(Error::ClientClosed)
    }

    /// What it takes to go on with the session by another client.
    pub(super) fn info(&self) -> Option<SessionInfo> {
        self.slot().as_ref().map(|client| client.session().clone())
    }

    /// Goes on by another client.
    pub(super) fn resume(&self, client: Client) {
        *self.slot() = Some(client);
    }

    /// Ends the session, if the ensemble can be reached.
    pub(super) async fn close(&self) {
        let Some(client) = self.slot().take() else {
            return;
        };
        let mut state = client.state_watcher();
        // The last client that goes closes the session.
        drop(client);
        let closed = async {
            while !state.state().is_terminated() {
                state.changed().await;
            }
        };
        drop(timeout(CLOSE_MAX.min(self.timeout), closed).await);
    }

    /// Renews the lease, without end.
    ///
    /// Each round trip is a *write*: it has to pass the leader and a majority. A read is answered by whichever server the client is connected to, also by one
    /// that is cut off from the others, and by a leader that was replaced, while the others let the session end and give its locks away.
    pub(super) async fn renew(&self, root: &Root) {
        let path = layout::session(self.id);
        let create = CreateMode::Ephemeral.with_acls(root.acls());
        loop {
            let next = Instant::now() + self.timeout / RENEWALS;
            let sent = Moment::now();
            let renewed = match self.client() {
                Ok(client) => match client.set_data(&path, &[], None).await {
                    Err(Error::NoNode) => client.create(&path, &[], &create).await.map(drop),
                    renewed => renewed.map(drop),
                },
                Err(error) => Err(error),
            };
            if renewed.is_ok() {
                self.lease.renew(sent);
            }
            sleep_until(next).await;
        }
    }
}
