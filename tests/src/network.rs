//! Nodes on hosts of their own: each in a network namespace, with a cable to each of four switches that can be pulled out.
//!
//! A cable that is pulled out carries nothing and says nothing, as where a host or a switch is gone: no connection is refused or closed. It takes a network
//! namespace and a user namespace for the process itself (`unshare --map-root-user --net --mount`), so nothing of the machine changes, and nobody has to be root.

use std::{
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use crate::Service;

/// A switch: what nodes reach through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// The brokers.
    Kafka = 1,
    /// The ensemble.
    ZooKeeper = 2,
    /// One another.
    Peers = 3,
    /// Their clients.
    Clients = 4,
}

impl Net {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kafka, Self::ZooKeeper, Self::Peers, Self::Clients];

    const fn number(self) -> u8 {
        self as u8
    }

    /// Where the test itself, and the servers, are in it.
    #[must_use]
    pub const fn here(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number(), 0, 254)
    }

    /// Where a node is in it, counted from 0.
    const fn of(self, node: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number(), 0, node + 1)
    }

    fn switch(self) -> String {
        format!("switch{}", self.number())
    }

    fn cable(self, node: u8) -> String {
        format!("n{node}s{}", self.number())
    }
}

/// The hosts and the switches between them. They are gone with the process.
#[derive(Debug)]
pub struct Network(());

impl Network {
    /// Builds it, in a process that has namespaces of its own.
    #[must_use]
    pub fn build(nodes: u8) -> Self {
        // Where `ip netns` keeps names, which is not ours otherwise.
        run("mount", "-t tmpfs tmpfs /run");
        ip("link set lo up");
        for net in Net::ALL {
            let (switch, here) = (net.switch(), net.here());
            ip(&format!("link add {switch} type bridge"));
            ip(&format!("addr add {here}/24 dev {switch}"));
            ip(&format!("link set {switch} up"));
        }
        for node in 0..nodes {
            ip(&format!("netns add host{node}"));
            ip(&format!("-n host{node} link set lo up"));
            for net in Net::ALL {
                let (switch, cable, address) = (net.switch(), net.cable(node), net.of(node));
                let plug = format!("eth{}", net.number());
                ip(&format!(
                    "link add {cable} type veth peer name {plug} netns host{node}"
                ));
                ip(&format!("link set {cable} master {switch} up"));
                ip(&format!("-n host{node} addr add {address}/24 dev {plug}"));
                ip(&format!("-n host{node} link set {plug} up"));
            }
        }
        Self(())
    }

    /// Lets a node run on its host.
    #[must_use]
    pub fn place(&self, node: u8, service: Service) -> Service {
        let listen = |net: Net| format!("{}:0", net.of(node));
        service
            .wrapped(&["ip", "netns", "exec", &format!("host{node}")])
            .set("--http", &listen(Net::Clients))
            .set("--admin", &listen(Net::Clients))
            .set("--peer", &listen(Net::Peers))
    }

    /// Pulls a node's cables out.
    pub fn cut(&self, node: u8, nets: &[Net]) {
        for net in nets {
            ip(&format!("link set {} nomaster", net.cable(node)));
        }
    }

    /// Puts a node's cables back.
    pub fn mend(&self, node: u8, nets: &[Net]) {
        for net in nets {
            ip(&format!(
                "link set {} master {}",
                net.cable(node),
                net.switch()
            ));
        }
    }
}

fn ip(words: &str) {
    run("ip", words);
}

fn run(program: &str, words: &str) {
    let output = Command::new(program)
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {errors}");
}
