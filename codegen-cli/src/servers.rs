//! Kafka, ZooKeeper and a registry of schemas, for development and tests: fetched once from Maven Central, started, stopped, killed.
//!
//! - [`jars`]: what Java needs, fetched by Maven into a cache.
//! - [`process`]: one server process, its folder and its output.
//! - [`kafka`], [`zookeeper`]: the settings of a group of each; [`apicurio`]: those of a registry of schemas.
//! - [`background`]: `memgen servers up|down`.
//!
//! ```no_run
//! use memgen_cli::servers::{Jars, Kafka, ZooKeeper};
//!
//! # fn main() -> Result<(), memgen_cli::servers::ServerError> {
//! let jars = Jars::fetch()?;
//! let folder = std::path::Path::new("servers");
//! let mut kafka = Kafka::create(&jars, folder, 3)?;
//! kafka.start()?;
//! println!("--log kafka://{}", kafka.addresses());
//! kafka.server(0).kill()?;
//! # Ok(())
//! # }
//! ```

pub mod apicurio;
pub mod background;
pub mod jars;
pub mod kafka;
pub mod process;
pub mod zookeeper;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

pub use self::{
    apicurio::Apicurio, jars::Jars, kafka::Kafka, process::Server, zookeeper::ZooKeeper,
};

/// How long a server may take to answer on its port.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// Why a server can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A program that is needed is not there, or fails.
    #[error("`{program}` {what}; {help}")]
    Program {
        /// The program.
        program: String,
        /// What happened.
        what: String,
        /// What to do.
        help: &'static str,
    },
    /// A server ended, or did not come up.
    #[error("{name} {what}; the end of {}:\n{tail}", log.display())]
    Down {
        /// The server.
        name: String,
        /// What happened.
        what: String,
        /// Its output.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's own word.
        source: io::Error,
    },
    /// No port is free.
    #[error("no free port on 127.0.0.1: {0}")]
    Port(io::Error),
}

/// Says which file an error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> ServerError + '_ {
    move |source| ServerError::File {
        path: path.to_owned(),
        source,
    }
}

/// Where servers listen: below the ports that the system gives to whoever connects, since one of those could be taken between two starts of a server.
const PORTS: Range<u16> = 12_000..32_000;

/// Ports that nothing listens on now. None is given twice by one process, and processes begin at different ones.
fn free_ports(count: usize) -> Result<Vec<u16>, ServerError> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let number = PORTS.end - PORTS.start;
    let mut ports = Vec::with_capacity(count);
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..number {
        if ports.len() == count {
            break;
        }
        let step = std::process::id()
            .wrapping_mul(97)
            .wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(step % u32::from(number)).unwrap_or(0);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => ports.push(port),
            Err(error) => last = error,
        }
    }
    if ports.len() < count {
        return Err(ServerError::Port(last));
    }
    Ok(ports)
}

/// Where servers listen that are reached at `host`.
fn listens(host: Ipv4Addr) -> Ipv4Addr {
    if host.is_loopback() {
        host
    } else {
        Ipv4Addr::UNSPECIFIED
    }
}

/// Waits until something listens on the server's port, as long as the server runs.
fn wait_for_port(server: &mut Server, port: u16) -> Result<(), ServerError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        if !server.is_running() {
            return Err(server.down("ended at its start"));
        }
        if Instant::now() > deadline {
            return Err(server.down(&format!("did not listen on {address} in time")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
