//! Two nodes of a cluster, as processes of their own.

use memgen_tests::{Folder, cluster};

use crate::{Outcome, options::Options, process::Server};

/// Two nodes: each has half of the partitions, and follows the other half.
pub(crate) struct Nodes {
    /// On the cores of servers.
    pub(crate) asked: Server,
    /// On those of the clients.
    pub(crate) other: Server,
    _folder: Folder,
}

impl Nodes {
    pub(crate) fn start(options: &Options, servers: &cluster::Servers) -> Outcome<Self> {
        let folder = Folder::new();
        let brokers = servers.kafka.addresses();
        let zookeeper = servers.zookeeper.addresses();
        let data = |name: &str| folder.path().join(name).display().to_string();
        let mut asked = Server::start(
            options,
            &["node", "asked", &data("asked"), &brokers, &zookeeper],
        )?;
        let other = Server::start_beside_clients(
            options,
            &["node", "other", &data("other"), &brokers, &zookeeper],
        )?;
        asked.owns_what_others_do_not(&other);
        Ok(Self {
            asked,
            other,
            _folder: folder,
        })
    }
}
