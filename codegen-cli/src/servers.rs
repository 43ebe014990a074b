//! Kafka and ZooKeeper for development and tests: fetched once from Maven Central, started, stopped, killed.
//!
//! - [`jars`]: what Java needs, fetched by Maven into a cache.
//! - [`process`]: one server process, its folder and its output.
//! - [`kafka`], [`zookeeper`]: the settings of a group of each.
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

pub mod jars;
pub mod kafka;
pub mod process;
pub mod zookeeper;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub use self::{jars::Jars, kafka::Kafka, process::Server, zookeeper::ZooKeeper};

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

/// Ports that nothing listens on now.
fn free_ports(count: usize) -> Result<Vec<u16>, ServerError> {
    // All are held until the last is known, so that they differ.
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<_>>()
        .map_err(ServerError::Port)?;
    held.iter()
        .map(|listener| Ok(listener.local_addr().map_err(ServerError::Port)?.port()))
        .collect()
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
