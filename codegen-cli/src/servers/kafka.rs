//! A group of Kafka brokers without ZooKeeper: each is broker and controller.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Jars, Server, ServerError, at, free_ports,
    jars::run,
    listens,
    process::{java, write_settings},
    wait_for_port,
};

/// The id of each group: they never meet.
const CLUSTER_ID: &str = "bWVtZ2VuLWRldi1zZXJ2ZQ";

/// A group of brokers on this machine.
#[derive(Debug)]
pub struct Kafka {
    host: Ipv4Addr,
    brokers: Vec<Server>,
}

impl Kafka {
    /// Prepares so many brokers below `folder`, on free ports. Topics have as many replicas as there are brokers, at most three.
    ///
    /// # Errors
    /// [`ServerError`] with the file or program that failed.
    pub fn create(jars: &Jars, folder: &Path, count: usize) -> Result<Self, ServerError> {
        Self::create_at(jars, folder, Ipv4Addr::LOCALHOST, count)
    }

    /// The same at another address of this machine, for clients that can't reach the loopback. The brokers listen on all addresses then.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_at(
        jars: &Jars,
        folder: &Path,
        host: Ipv4Addr,
        count: usize,
    ) -> Result<Self, ServerError> {
        let ports = free_ports(count * 2)?;
        let (clients, controllers) = ports.split_at(count);
        Self::on_ports(jars, folder, host, clients, controllers)
    }

    /// The same on given ports.
    pub(super) fn on_ports(
        jars: &Jars,
        folder: &Path,
        host: Ipv4Addr,
        clients: &[u16],
        controllers: &[u16],
    ) -> Result<Self, ServerError> {
        let listens = listens(host);
        let voters: Vec<String> = (1..)
            .zip(controllers)
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        let replicas = clients.len().min(3);
        let mut brokers = Vec::new();
        for ((id, client), controller) in (1..).zip(clients).zip(controllers) {
            let folder = folder.join(format!("kafka-{id}"));
            fs::create_dir_all(&folder).map_err(at(&folder))?;
            let settings = folder.join("server.properties");
            let data = folder.join("data");
            write_settings(
                &settings,
                &[
                    ("process.roles", "broker,controller".to_owned()),
                    ("node.id", id.to_string()),
                    ("controller.quorum.voters", voters.join(",")),
                    (
                        "listeners",
                        format!(
                            "PLAINTEXT://{listens}:{client},CONTROLLER://127.0.0.1:{controller}"
                        ),
                    ),
                    (
                        "advertised.listeners",
                        format!("PLAINTEXT://{host}:{client}"),
                    ),
                    ("controller.listener.names", "CONTROLLER".to_owned()),
                    ("log.dirs", data.display().to_string()),
                    ("num.partitions", "1".to_owned()),
                    ("default.replication.factor", replicas.to_string()),
                    ("min.insync.replicas", replicas.min(2).to_string()),
                    ("offsets.topic.replication.factor", replicas.to_string()),
                    ("offsets.topic.num.partitions", "3".to_owned()),
                    ("auto.create.topics.enable", "false".to_owned()),
                    ("unclean.leader.election.enable", "false".to_owned()),
                    ("group.initial.rebalance.delay.ms", "0".to_owned()),
                    // A broker that dies is noticed soon: these are servers of one machine.
                    ("broker.session.timeout.ms", "3000".to_owned()),
                    ("broker.heartbeat.interval.ms", "500".to_owned()),
                    ("replica.lag.time.max.ms", "5000".to_owned()),
                    ("log.cleaner.backoff.ms", "500".to_owned()),
                ],
            )?;
            if !data.join("meta.properties").exists() {
                format(jars, &settings)?;
            }
            let path = settings.display().to_string();
            let arguments = java(&jars.kafka, "700m", &["kafka.Kafka", &path]);
            brokers.push(Server::new(
                format!("kafka {id}"),
                *client,
                &folder,
                arguments,
            ));
        }
        Ok(Self { host, brokers })
    }

    /// Starts all brokers, and waits until each answers.
    ///
    /// # Errors
    /// [`ServerError::Down`] with the end of the output of one that does not come up.
    pub fn start(&mut self) -> Result<(), ServerError> {
        for broker in &mut self.brokers {
            broker.spawn()?;
        }
        for broker in &mut self.brokers {
            let port = broker.port();
            wait_for_port(broker, port)?;
        }
        Ok(())
    }

    /// Where clients connect: `127.0.0.1:9092,127.0.0.1:9093`.
    #[must_use]
    pub fn addresses(&self) -> String {
        let addresses: Vec<String> = self
            .brokers
            .iter()
            .map(|broker| format!("{}:{}", self.host, broker.port()))
            .collect();
        addresses.join(",")
    }

    /// One broker, counted from 0.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn server(&mut self, index: usize) -> &mut Server {
        &mut self.brokers[index]
    }

    /// All brokers.
    pub fn servers(&mut self) -> &mut [Server] {
        &mut self.brokers
    }
}

/// Prepares a broker's data folder.
fn format(jars: &Jars, settings: &PathBuf) -> Result<(), ServerError> {
    let mut command = Command::new("java");
    command
        .args(java(&jars.kafka, "256m", &["kafka.tools.StorageTool"]))
        .args(["format", "-t", CLUSTER_ID, "-c"])
        .arg(settings);
    run(
        &mut command,
        "see the message above; Kafka 4 wants Java 17 or later",
    )
}
