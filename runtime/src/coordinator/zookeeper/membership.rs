//! How a node becomes known to the others, and stays so.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use zookeeper_client::{Client, CreateMode, Error, MultiWriteError};

use super::{
    Shared, error,
    layout::{self, MemberEntry, Place},
    locks,
    process::Process,
    session::Session,
};
use crate::coordinator::{CoordinatorError, Node};

/// Changes within this time are announced together.
const GATHER: Duration = Duration::from_millis(5);
/// How long until a failed announcement is tried again, or a name that is taken.
const RETRY: Duration = Duration::from_millis(50);

/// What came of an announcement.
enum Announced {
    Done,
    /// Another session has the name.
    Taken(Box<Ghost>),
}

/// Whoever has our name.
struct Ghost {
    /// Of the node in ZooKeeper, so that no other one is deleted.
    version: i32,
    entry: Option<MemberEntry>,
}

impl Ghost {
    /// Whether there is proof that its process is gone.
    fn is_gone(&self) -> bool {
        let process = self.entry.as_ref().and_then(|entry| entry.process.as_ref());
        process.is_some_and(Process::is_gone)
    }
}

/// Becomes a member. See [`Coordinator::join`](crate::coordinator::Coordinator::join).
pub(super) async fn join(shared: &Arc<Shared>, node: Node) -> Result<(), CoordinatorError> {
    if node.id.is_empty() || node.id.contains('/') {
        return Err(CoordinatorError::Refused(format!(
            "`{}` can't be the name of a node",
            node.id
        )));
    }
    let mut waited = Duration::ZERO;
    loop {
        let began = Instant::now();
        let session = shared.session().await?;
        // A session takes its time-out and the rest of a tick to end; then comes the leader's next look.
        let patience = session.timeout * 2 + Duration::from_secs(1);
        match announce(shared, &session, &node).await {
            Ok(Announced::Done) => {
                shared.become_member(node);
                return Ok(());
            }
            Ok(Announced::Taken(ghost)) => {
                if ghost.is_gone() {
                    info!(node = node.id, "the last process of this name is gone");
                    replace(shared, &session, &node, &ghost)
                        .await
                        .map_err(|error| error::of_caller(&error))?;
                } else if waited > patience {
                    return Err(CoordinatorError::NameTaken(node.id));
                } else {
                    sleep(RETRY).await;
                }
            }
            Err(error) if error::is_denied(&error) || waited > patience => {
                return Err(error::of_caller(&error));
            }
            Err(_) => sleep(RETRY).await,
        }
        // Who was paused meanwhile has not waited: the next session is worth a try.
        waited += began.elapsed().min(session.timeout / 4);
    }
}

/// Deletes what a session left of which the process is proved to be gone, and takes its place. Nobody sees the name without a node in between: the plan would leave it out, and a copy that the new process has
/// begun to read would be given up.
async fn replace(
    shared: &Shared,
    session: &Session,
    node: &Node,
    ghost: &Ghost,
) -> Result<(), Error> {
    let client = session.client()?;
    let incarnation = ghost.entry.as_ref().map(|entry| entry.node.incarnation);
    let view = shared.view.borrow().clone();
    for (partition, holder) in &view.holders {
        if holder.node == node.id && Some(holder.incarnation) == incarnation {
            locks::remove(&client, partition, holder.lock.cast_signed()).await?;
        }
    }
    let path = layout::member(&node.id);
    let ephemeral = CreateMode::Ephemeral.with_acls(shared.root.acls());
    let mut writer = client.new_multi_writer();
    writer.add_delete(&path, Some(ghost.version))?;
    writer.add_create(&path, &bytes_of(node), &ephemeral)?;
    match writer.commit().await {
        // What is there now is looked at again in any case.
        Ok(_)
        | Err(MultiWriteError::OperationFailed {
            source: Error::NoNode | Error::BadVersion,
            ..
        }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What a node says of itself there.
fn bytes_of(node: &Node) -> Vec<u8> {
    layout::to_bytes(&MemberEntry {
        node: node.clone(),
        process: Process::this(),
    })
}

async fn announce(shared: &Shared, session: &Session, node: &Node) -> Result<Announced, Error> {
    let client = session.client()?;
    let path = layout::member(&node.id);
    let bytes = bytes_of(node);
    let ephemeral = CreateMode::Ephemeral.with_acls(shared.root.acls());
    loop {
        let Some(stat) = client.check_stat(&path).await? else {
            match client.create(&path, &bytes, &ephemeral).await {
                Ok(_) => return Ok(Announced::Done),
                Err(Error::NodeExists) => continue,
                Err(error) => return Err(error),
            }
        };
        if stat.ephemeral_owner != session.id {
            return Ok(Announced::Taken(Box::new(ghost(&client, &path).await?)));
        }
        match client.set_data(&path, &bytes, Some(stat.version)).await {
            Ok(_) => return Ok(Announced::Done),
            Err(Error::NoNode | Error::BadVersion) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn ghost(client: &Client, path: &str) -> Result<Ghost, Error> {
    let (bytes, stat) = client.get_data(path).await?;
    Ok(Ghost {
        version: stat.version,
        entry: layout::from_bytes(&bytes),
    })
}

/// Announces the node whenever it changed, or has to be announced anew; without end.
pub(super) async fn keep_announced(shared: &Shared, session: &Session) {
    loop {
        let Some(node) = shared.member() else {
            shared.member_changed.notified().await;
            continue;
        };
        match announce(shared, session, &node).await {
            Ok(Announced::Done) => {
                shared.member_changed.notified().await;
                sleep(GATHER).await;
            }
            Ok(Announced::Taken(_)) => {
                warn!(
                    node = node.id,
                    "another process has this node's name; give each node a name of its own (`--node`)"
                );
                sleep(RETRY * 20).await;
            }
            Err(Error::NoNode) => {
                warn!("somebody deleted the root of the cluster; it is made again");
                shared.set_up_again(session).await;
                sleep(RETRY).await;
            }
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// Becomes the planner, if nobody is.
pub(super) async fn contend_for_planner(shared: &Shared, session: &Session) -> Result<(), Error> {
    let Some(holder) = shared.holder_entry() else {
        return Ok(());
    };
    let ephemeral = CreateMode::Ephemeral.with_acls(shared.root.acls());
    let created = session
        .client()?
        .create(
            &Place::Planner.path(),
            &layout::to_bytes(&holder),
            &ephemeral,
        )
        .await;
    match created {
        Ok(_) => {
            info!(node = holder.node, "this node makes the plan");
            Ok(())
        }
        Err(Error::NodeExists) => Ok(()),
        Err(error) => Err(error),
    }
}
