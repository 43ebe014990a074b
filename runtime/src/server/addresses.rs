//! Where a node listens, and where others reach it.

use std::net::{IpAddr, SocketAddr};

use super::StartError;
use crate::{
    config::{Config, CoordinatorChoice},
    network::Listening,
};

/// Where a running node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The API, `/openapi.json` and `/docs`.
    pub http: SocketAddr,
    /// `/healthz`, `/readyz`, `/metrics`, `/status`.
    pub admin: SocketAddr,
    /// Other nodes; none if there are none.
    pub peer: Option<SocketAddr>,
}

impl Addresses {
    /// The same as others reach them: no machine has the address that stands for all of its own.
    pub(super) fn reached_at(&self, advertised: Option<IpAddr>) -> Self {
        let reached = |address: SocketAddr| match advertised {
            Some(host) if address.ip().is_unspecified() => SocketAddr::new(host, address.port()),
            _ => address,
        };
        Self {
            http: reached(self.http),
            admin: reached(self.admin),
            peer: self.peer.map(reached),
        }
    }
}

/// The address that `--advertise` names, looked up once: a node that moves starts anew.
pub(super) async fn advertised(config: &Config) -> Result<Option<IpAddr>, StartError> {
    let Some(host) = &config.advertise else {
        return Ok(None);
    };
    let wrong = |what: String| StartError::Setting(format!("`--advertise` {host}: {what}"));
    let found = tokio::net::lookup_host((host.as_str(), 0)).await;
    let mut found = found.map_err(|error| wrong(error.to_string()))?;
    // Who listens on all IPv4 addresses can't be reached by IPv6.
    let fits = found.find(|found| found.is_ipv4() || config.peer.is_ipv6());
    let fits = fits.ok_or_else(|| wrong("the name has no IPv4 address".to_owned()))?;
    Ok(Some(fits.ip()))
}

/// The sockets of one node.
pub(super) struct Sockets {
    pub(super) http: Listening,
    pub(super) admin: Listening,
    pub(super) peer: Option<Listening>,
}

impl Sockets {
    pub(super) fn addresses(&self) -> Addresses {
        let address = |socket: &Listening| {
            socket
                .local_addr()
                .expect("a socket that listens has an address")
        };
        Addresses {
            http: address(&self.http),
            admin: address(&self.admin),
            peer: self.peer.as_ref().map(address),
        }
    }
}

pub(super) async fn bind_all(config: &Config) -> Result<Vec<Sockets>, StartError> {
    let mut sockets = Vec::new();
    for index in 0..config.nodes {
        let node = config.node_at(index);
        sockets.push(Sockets {
            http: bind("--http", node.http).await?,
            admin: bind("--admin", node.admin).await?,
            peer: if is_alone(config) {
                None
            } else {
                Some(bind("--peer", node.peer).await?)
            },
        });
    }
    Ok(sockets)
}

/// Whether no other node can ever be there, so that there is nobody to talk to.
pub(super) fn is_alone(config: &Config) -> bool {
    config.nodes == 1 && config.coordinator == CoordinatorChoice::Local
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<Listening, StartError> {
    Listening::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            setting,
            address,
            source,
        })
}
