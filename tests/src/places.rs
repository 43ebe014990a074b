//! Where nodes are, while they come and go.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::Client;

/// One listener of each node, for clients that outlive the node's process. Clones show the same.
#[derive(Clone, Debug)]
pub struct Places(Arc<Mutex<Vec<Option<Client>>>>);

impl Places {
    /// So many nodes, of which none is there.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![None; nodes])))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Option<Client>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many nodes there are, also those that are away.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// The node is there from now on, or away.
    pub fn set(&self, node: usize, client: Option<Client>) {
        self.all()[node] = client;
    }

    /// A client of the node, if it is there.
    #[must_use]
    pub fn now(&self, node: usize) -> Option<Client> {
        self.all()[node].clone()
    }

    /// A client of the node, once it is there.
    pub async fn client(&self, node: usize) -> Client {
        loop {
            if let Some(client) = self.now(node) {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
