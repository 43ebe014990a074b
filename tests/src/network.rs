//! Nodes on hosts of their own: each in a network namespace, with a cable to each of four switches that can be pulled out.
//!
//! A cable that is pulled out carries nothing and says nothing, as where a host or a switch is gone: no connection is refused or closed. It takes a network
//! namespace and a user namespace for the process itself (`unshare --map-root-user --net --mount`), so nothing of the machine changes, and nobody has to be root.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

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

/// Which way of a cable, as its node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What the node sends.
    Out,
    /// What it is sent.
    In,
}

impl Lane {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Out, Self::In];
}

/// What passes by a lane from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nothing: each packet is longer than the bucket.
    Nothing,
    /// 16 kB in a second, behind up to 600 ms of what was sent before.
    Slow,
}

impl Flow {
    /// A token bucket, which each kernel has, unlike netem.
    const fn bucket(self) -> &'static str {
        match self {
            Self::Nothing => "rate 8bit burst 10 latency 1ms",
            Self::Slow => "rate 128kbit burst 2kb latency 600ms",
        }
    }
}

/// How much a node may write on its disk.
const DISK: &str = "16m";

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
            let disk = disk(node);
            std::fs::create_dir(&disk).expect("the folder above is ours");
            run(
                "mount",
                &format!("-t tmpfs -o size={DISK} tmpfs {}", disk.display()),
            );
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
            .with_data(disk(node).join("data"))
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

    /// How many packets of a node went into these cables so far, whoever is at the other end.
    #[must_use]
    pub fn sent(&self, node: u8, nets: &[Net]) -> u64 {
        let packets = nets.iter().map(|net| {
            let said = run("ip", &format!("-s -j link show dev {}", net.cable(node)));
            let said: Value = serde_json::from_str(&said).expect("ip says it as JSON");
            let packets = said[0]["stats64"]["rx"]["packets"].as_u64();
            packets.expect("a cable counts")
        });
        packets.sum()
    }

    /// Lets less pass by a lane of a node's cable.
    pub fn throttle(&self, node: u8, net: Net, lane: Lane, flow: Flow) {
        let bucket = flow.bucket();
        tc(
            node,
            net,
            lane,
            &format!("replace dev {{}} root tbf {bucket}"),
        );
    }

    /// Lets everything pass again. Says how many packets were lost, or had to wait.
    #[must_use]
    pub fn free(&self, node: u8, net: Net, lane: Lane) -> u64 {
        let said = tc(node, net, lane, "show dev {}");
        tc(node, net, lane, "del dev {} root");
        let number = |name: &str| {
            let (_, behind) = said.split_once(name)?;
            let digits = behind.trim_start().split(|c: char| !c.is_ascii_digit());
            digits.into_iter().next()?.parse::<u64>().ok()
        };
        number("dropped").unwrap_or(0) + number("overlimits").unwrap_or(0)
    }

    /// Fills a node's disk.
    pub fn fill_disk(&self, node: u8) {
        use std::io::Write as _;
        let mut file =
            std::fs::File::create(disk(node).join("full")).expect("a file needs no room");
        while file.write_all(&[1; 4096]).is_ok() {}
        while file.write_all(&[1]).is_ok() {}
    }

    /// Makes room again.
    pub fn free_disk(&self, node: u8) {
        std::fs::remove_file(disk(node).join("full")).expect("it was filled");
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

/// Where a node writes, a disk of its own.
fn disk(node: u8) -> PathBuf {
    PathBuf::from(format!("/run/disk{node}"))
}

fn tc(node: u8, net: Net, lane: Lane, words: &str) -> String {
    match lane {
        Lane::Out => {
            let words = words.replace("{}", &format!("eth{}", net.number()));
            run("tc", &format!("-s -n host{node} qdisc {words}"))
        }
        Lane::In => {
            let words = words.replace("{}", &net.cable(node));
            run("tc", &format!("-s qdisc {words}"))
        }
    }
}

fn ip(words: &str) {
    run("ip", words);
}

/// Runs a program, and gives what it says.
fn run(program: &str, words: &str) -> String {
    let output = Command::new(program)
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
