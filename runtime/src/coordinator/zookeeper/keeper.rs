//! Keeps a session for as long as the node is there: opens it, goes on with it after an outage, and opens a new one when it is known to have ended.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tracing::{info, warn};
use zookeeper_client::{Client, Error, SessionInfo};

use super::{
    Address,
    follower::follow,
    layout::Place,
    membership::keep_announced,
    root::RootError,
    session::Session,
    shared::{Connection, Shared},
};

/// How long until it is tried again to reach the ensemble; each time longer.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How long until it is looked again whether access was granted.
const REFUSED_RETRY: Duration = Duration::from_secs(5);

/// Runs until the node leaves.
pub(super) async fn keep(
    shared: Arc<Shared>,
    address: Address,
    look_again: mpsc::UnboundedReceiver<Place>,
) {
    let mut stop = shared.stop.subscribe();
    tokio::select! {
        never = keep_sessions(&shared, &address, look_again) => match never {},
        _ = stop.wait_for(|stop| *stop) => {}
    }
    let last = shared.connection.borrow().clone();
    if let Connection::Session(session) = last {
        session.close().await;
    }
    shared.disconnected();
    shared.connection.send_replace(Connection::Left);
}

async fn keep_sessions(
    shared: &Arc<Shared>,
    address: &Address,
    mut look_again: mpsc::UnboundedReceiver<Place>,
) -> std::convert::Infallible {
    let mut last: Option<Arc<Session>> = None;
    let mut retry = RETRY_MIN;
    loop {
        match open(shared, address, last.as_ref()).await {
            Ok(session) => {
                retry = RETRY_MIN;
                let now = Connection::Session(session.clone());
                shared.connection.send_replace(now);
                serve(shared, &session, &mut look_again).await;
                shared.disconnected();
                last = Some(session);
            }
            Err(Failure::Ended) => {
                warn!("the session with ZooKeeper has ended; the locks of this node are lost");
                last = None;
                shared.claims.lose_all();
                let why = "the session has ended".to_owned();
                shared.connection.send_replace(Connection::None(why));
            }
            Err(Failure::Refused(why)) => {
                warn!("{why}");
                shared.connection.send_replace(Connection::Refused(why));
                sleep(REFUSED_RETRY).await;
            }
            Err(Failure::Unreachable(error)) => {
                // A session that may live on is still ours.
                if last.is_none() {
                    let why = format!("{address}: {error}");
                    info!("ZooKeeper can't be reached at {why}");
                    shared.connection.send_replace(Connection::None(why));
                }
                sleep(retry).await;
                retry = (retry * 2).min(RETRY_MAX);
            }
        }
    }
}

/// Why there is no session.
enum Failure {
    /// The last one has ended.
    Ended,
    Refused(String),
    Unreachable(Error),
}

/// Goes on with the last session, if there is one that may live, or opens a new one.
///
/// The client gives a session up when it could not reach the ensemble for a while, but only the ensemble knows whether it has ended: while it has no leader, no
/// session ends.
async fn open(
    shared: &Shared,
    address: &Address,
    last: Option<&Arc<Session>>,
) -> Result<Arc<Session>, Failure> {
    let info = last.and_then(|last| last.info());
    let connected = connect(shared, address, info).await;
    let client = connected.map_err(|error| match error {
        Error::SessionExpired => Failure::Ended,
        error => Failure::Unreachable(error),
    })?;
    if let Some(session) = last {
        let client = client.chroot(shared.root.path());
        let client = client.map_err(|_| Failure::Ended)?;
        session.resume(client);
        return Ok(session.clone());
    }
    match shared.root.set_up(client).await {
        Ok(client) => {
            let session = Session::new(client);
            info!(
                session = format_args!("{:#x}", session.id),
                timeout = ?session.timeout,
                "a session with ZooKeeper at {address}"
            );
            Ok(Arc::new(session))
        }
        Err(RootError::Refused(why)) => Err(Failure::Refused(why)),
        Err(RootError::Failed(error)) => Err(Failure::Unreachable(error)),
    }
}

async fn connect(
    shared: &Shared,
    address: &Address,
    session: Option<SessionInfo>,
) -> Result<Client, Error> {
    let mut connector = Client::connector()
        .with_session_timeout(shared.session_timeout)
        .with_fail_eagerly();
    if let Some(digest) = address.digest() {
        connector = connector.with_auth("digest", digest.as_bytes());
    }
    if let Some(session) = session {
        connector = connector.with_session(session);
    }
    connector.connect(&address.servers()).await
}

/// All that is done by a session, until its client gives it up.
async fn serve(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    look_again: &mut mpsc::UnboundedReceiver<Place>,
) {
    let Ok(client) = session.client() else { return };
    let mut state = client.state_watcher();
    drop(client);
    let over = async {
        while !state.state().is_terminated() {
            state.changed().await;
        }
    };
    let work = async {
        tokio::join!(
            session.renew(&shared.root),
            follow(shared, session, look_again),
            keep_announced(shared, session),
        )
    };
    tokio::select! {
        () = over => {}
        _ = work => {}
    }
}
