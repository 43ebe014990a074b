//! A ZooKeeper ensemble.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Jars, START_TIMEOUT, Server, ServerError, at, free_ports, listens,
    process::{java, write_settings},
    wait_for_port,
};

/// How long a server may take to say how it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// An ensemble on this machine; of one server, it is a stand-alone one.
#[derive(Debug)]
pub struct ZooKeeper {
    host: Ipv4Addr,
    servers: Vec<Server>,
}

impl ZooKeeper {
    /// Prepares so many servers below `folder`, on free ports, with ticks of 500 ms: sessions last from 1 to 10 s.
    ///
    /// # Errors
    /// [`ServerError`] with the file that failed.
    pub fn create(jars: &Jars, folder: &Path, count: usize) -> Result<Self, ServerError> {
        Self::create_at(jars, folder, Ipv4Addr::LOCALHOST, count)
    }

    /// The same at another address of this machine, for clients that can't reach the loopback. The servers listen on all addresses then.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_at(
        jars: &Jars,
        folder: &Path,
        host: Ipv4Addr,
        count: usize,
    ) -> Result<Self, ServerError> {
        let ports = free_ports(count * 3)?;
        let (clients, peers) = ports.split_at(count);
        Self::on_ports(jars, folder, host, clients, peers)
    }

    /// The same on given ports: one for clients and two among themselves for each.
    pub(super) fn on_ports(
        jars: &Jars,
        folder: &Path,
        host: Ipv4Addr,
        clients: &[u16],
        peers: &[u16],
    ) -> Result<Self, ServerError> {
        let names: Vec<String> = (1..=clients.len())
            .map(|id| format!("server.{id}"))
            .collect();
        let mut servers = Vec::new();
        for (id, client) in (1..).zip(clients) {
            let folder = folder.join(format!("zookeeper-{id}"));
            let data = folder.join("data");
            fs::create_dir_all(&data).map_err(at(&data))?;
            let my_id = data.join("myid");
            fs::write(&my_id, format!("{id}\n")).map_err(at(&my_id))?;
            let settings = folder.join("zoo.cfg");
            let mut lines = vec![
                ("tickTime", "500".to_owned()),
                ("initLimit", "20".to_owned()),
                ("syncLimit", "10".to_owned()),
                ("minSessionTimeout", "1000".to_owned()),
                ("maxSessionTimeout", "60000".to_owned()),
                ("dataDir", data.display().to_string()),
                ("clientPort", client.to_string()),
                ("clientPortAddress", listens(host).to_string()),
                ("maxClientCnxns", "0".to_owned()),
                ("admin.enableServer", "false".to_owned()),
                ("4lw.commands.whitelist", "ruok,srvr,mntr".to_owned()),
            ];
            if clients.len() > 1 {
                lines.extend(
                    names
                        .iter()
                        .zip(peers.chunks_exact(2))
                        .map(|(name, ports)| {
                            let address = format!("127.0.0.1:{}:{}", ports[0], ports[1]);
                            (name.as_str(), address)
                        }),
                );
            }
            write_settings(&settings, &lines)?;
            let path = settings.display().to_string();
            let main = ["org.apache.zookeeper.server.quorum.QuorumPeerMain", &path];
            let arguments = java(&jars.zookeeper, "256m", &main);
            servers.push(Server::new(
                format!("zookeeper {id}"),
                *client,
                &folder,
                arguments,
            ));
        }
        Ok(Self { host, servers })
    }

    /// Starts all servers, and waits until each serves, which takes a leader.
    ///
    /// # Errors
    /// [`ServerError::Down`] with the end of the output of one that does not come up.
    pub fn start(&mut self) -> Result<(), ServerError> {
        for server in &mut self.servers {
            server.spawn()?;
        }
        let deadline = Instant::now() + START_TIMEOUT;
        for server in &mut self.servers {
            let port = server.port();
            wait_for_port(server, port)?;
            while mode(port).is_none() {
                if !server.is_running() {
                    return Err(server.down("ended at its start"));
                }
                if Instant::now() > deadline {
                    return Err(server.down("found no leader in time"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Which server leads now, counted from 0, if one does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        self.servers.iter().position(|server| {
            matches!(
                mode(server.port()).as_deref(),
                Some("leader" | "standalone")
            )
        })
    }

    /// Where clients connect: `127.0.0.1:2181,127.0.0.1:2182`.
    #[must_use]
    pub fn addresses(&self) -> String {
        let addresses: Vec<String> = self
            .servers
            .iter()
            .map(|server| format!("{}:{}", self.host, server.port()))
            .collect();
        addresses.join(",")
    }

    /// One server, counted from 0.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn server(&mut self, index: usize) -> &mut Server {
        &mut self.servers[index]
    }

    /// All servers.
    pub fn servers(&mut self) -> &mut [Server] {
        &mut self.servers
    }
}

/// What a server is: `leader`, `follower`, `standalone`; `None` if it does not serve.
fn mode(port: u16) -> Option<String> {
    let asked = || -> io::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(b"srvr")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = asked().ok()?;
    let mode = answer
        .lines()
        .find_map(|line| line.strip_prefix("Mode: "))?;
    Some(mode.to_owned())
}
