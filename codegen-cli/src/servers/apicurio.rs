//! Apicurio, a registry of schemas.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use super::{
    Server, ServerError, at, free_ports,
    jars::{self, APICURIO},
    process::small,
    wait_for_port,
};

/// A registry that speaks Confluent's REST API, on this machine. It keeps schemas in memory: when it ends they are gone.
#[derive(Debug)]
pub struct Apicurio {
    server: Server,
}

impl Apicurio {
    /// Prepares one on a free port, and fetches it if it is not in the cache yet. Its output goes below `folder`.
    ///
    /// # Errors
    /// [`ServerError`] with the file or program that failed.
    pub fn create(folder: &Path) -> Result<Self, ServerError> {
        let program = jars::apicurio()?;
        let program = program.join(format!("apicurio-registry-app-{APICURIO}-runner.jar"));
        let folder = folder.join("apicurio");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let port = free_ports(1)?[0];
        let mut arguments = small("512m");
        arguments.extend([
            "-Dquarkus.http.host=127.0.0.1".to_owned(),
            format!("-Dquarkus.http.port={port}"),
            "-jar".to_owned(),
            program.display().to_string(),
        ]);
        Ok(Self {
            server: Server::new("apicurio".to_owned(), port, &folder, arguments),
        })
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// [`ServerError::Down`] with the end of its output if it does not come up.
    pub fn start(&mut self) -> Result<(), ServerError> {
        self.server.spawn()?;
        let port = self.server.port();
        wait_for_port(&mut self.server, port)
    }

    /// Where clients find it: what comes before `/subjects` and `/schemas`.
    #[must_use]
    pub fn url(&self) -> String {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.port()));
        format!("http://{address}/apis/ccompat/v7")
    }

    /// The process.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }
}
