//! What must hold between settings, each of which is legal alone.

use std::net::SocketAddr;

use super::{Config, CoordinatorChoice, LogChoice, REPLICATION_FACTOR, load::Sourced};

/// Says what is wrong, of which setting.
pub(super) type Found = (&'static str, String);

/// All that does not fit together.
pub(super) fn check(config: &Config) -> Vec<Found> {
    let mut found = Vec::new();
    ports(config, &mut found);
    if config.nodes > 1 && config.serve.is_some() {
        found.push(("serve", "the nodes of one process share the partitions by themselves: set `serve` or `nodes`, not both".into()));
    }
    if let (CoordinatorChoice::ZooKeeper(_), LogChoice::Embedded) =
        (&config.coordinator, &config.log)
    {
        let what = "the nodes of a cluster need a log that they share, and the embedded one is of one process: set `log` to kafka://…";
        found.push(("coordinator", what.to_owned()));
    }
    if let (Some(partitions), Some(serve)) = (config.partitions, &config.serve)
        && let Some(last) = serve.last().filter(|last| **last >= partitions)
    {
        found.push((
            "serve",
            format!(
                "there is no partition {last}: the {partitions} partitions are 0 to {}",
                partitions - 1
            ),
        ));
    }
    let is_shared = config.coordinator != CoordinatorChoice::Local;
    if is_shared && config.peer.ip().is_unspecified() && config.advertise.is_none() {
        let what = "other nodes can't reach this address: say by --advertise HOST at which name or address of this machine they can";
        found.push(("peer", what.to_owned()));
    }
    peer_tls(config, &mut found);
    let limits = &config.limits;
    if limits.list_limit_default > limits.list_limit_max {
        let what = format!("it is more than list-limit-max, {}", limits.list_limit_max);
        found.push(("list-limit-default", what));
    }
    found
}

/// A certificate is of no use without its key, and neither without an authority.
fn peer_tls(config: &Config, found: &mut Vec<Found>) {
    let files = [
        ("peer-tls-cert", &config.peer_tls_cert),
        ("peer-tls-key", &config.peer_tls_key),
        ("peer-tls-ca", &config.peer_tls_ca),
    ];
    let (set, missing): (Vec<_>, Vec<_>) = files.iter().partition(|(_, file)| file.is_some());
    if let (Some((set, _)), false) = (set.first(), missing.is_empty()) {
        let missing: Vec<String> = missing
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let what = format!("TLS between nodes also takes {}", missing.join(" and "));
        found.push((set, what));
    }
}

/// Each listener of each node needs a port of its own.
fn ports(config: &Config, found: &mut Vec<Found>) {
    let listeners = [
        ("http", config.http),
        ("admin", config.admin),
        ("peer", config.peer),
    ];
    let mut above = false;
    for (name, address) in listeners {
        if address.port() != 0 && address.port().checked_add(config.nodes - 1).is_none() {
            above = true;
            let what = format!(
                "with {} nodes, the last one would listen on a port above 65535",
                config.nodes
            );
            found.push((name, what));
        }
    }
    if above {
        return;
    }
    let mut taken: Vec<(&str, u16, SocketAddr)> = Vec::new();
    for index in 0..config.nodes {
        let node = config.node_at(index);
        for (name, address) in [
            ("http", node.http),
            ("admin", node.admin),
            ("peer", node.peer),
        ] {
            let same = taken.iter().find(|(_, _, other)| collide(*other, address));
            if let Some((other, other_index, _)) = same {
                let nodes = if config.nodes == 1 {
                    String::new()
                } else {
                    format!(
                        ": `{other}` of node {} and `{name}` of node {}",
                        other_index + 1,
                        index + 1
                    )
                };
                found.push((
                    name,
                    format!(
                        "`{other}` and `{name}` would listen on one port, {}{nodes}",
                        address.port()
                    ),
                ));
                return;
            }
            taken.push((name, index, address));
        }
    }
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || everywhere)
}

/// What is legal but likely not meant.
pub(super) fn warnings(config: &Config, sourced: &Sourced) -> Vec<String> {
    let mut warnings = Vec::new();
    if !config.admin.ip().is_loopback() {
        warnings.push(format!(
            "{} is not on loopback: whoever reaches it can see the state of this service and stop it",
            sourced.shown("admin")
        ));
    }
    if config.embedded.ack == super::Ack::Os {
        warnings.push(format!(
            "{}: a crash of the machine may lose writes that were acknowledged",
            sourced.shown("ack")
        ));
    }
    if matches!(config.log, LogChoice::Kafka(_))
        && config.kafka.replication_factor < REPLICATION_FACTOR
    {
        warnings.push(format!(
            "{}: the loss of a broker may lose writes that were acknowledged; {REPLICATION_FACTOR} survive it",
            sourced.shown("replication-factor")
        ));
    }
    if sourced.is_set("connections-max") {
        let allowed = config.connections_allowed();
        if allowed < config.limits.connections_max {
            warnings.push(format!(
                "{}: the system allows so few open files that it will be {allowed}; raise the limit (ulimit -n)",
                sourced.shown("connections-max")
            ));
        }
    }
    warnings
}
