//! Mutual TLS between nodes: what a node shows, whom it believes, and how that is renewed while it runs.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{io::AsyncBufReadExt as _, sync::watch};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, rustls::pki_types::ServerName, server};
use tracing::{info, warn};

use super::identity::{Files, Identity, Texts};
use crate::{
    ambient::{select, work},
    config::Config,
    network::Stream,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a node needs for TLS with others. Connections that are open stay as they are; new ones take what the files have become.
pub(crate) struct PeerTls {
    files: Files,
    /// The name by which others reach this node: its own certificate must be for it.
    name: ServerName<'static>,
    current: ArcSwap<Identity>,
}

/// The name that other nodes find in the certificate of this one, where `--advertise` is a name; otherwise it is the address.
pub(crate) fn certified_host(config: &Config) -> Option<&str> {
    let host = config.advertise.as_deref()?;
    host.parse::<IpAddr>().is_err().then_some(host)
}

/// The name that the certificate of a node must be for.
pub(super) fn server_name(
    host: Option<&str>,
    address: IpAddr,
) -> Result<ServerName<'static>, String> {
    match host {
        None => Ok(ServerName::from(address)),
        Some(host) => ServerName::try_from(host.to_owned())
            .map_err(|_| format!("no certificate can be for the name {host}")),
    }
}

impl PeerTls {
    /// What the settings say, if they say anything. `address` is where other nodes reach this process.
    ///
    /// # Errors
    /// Which file is not as it must be.
    pub(crate) fn of(config: &Config, address: IpAddr) -> Result<Option<Arc<Self>>, String> {
        let Some(files) = Files::of(config) else {
            return Ok(None);
        };
        let name = server_name(certified_host(config), address)
            .map_err(|error| format!("`--advertise`: {error}"))?;
        let identity = Identity::of(&files, &Texts::read(&files)?, &name)?;
        let current = ArcSwap::from_pointee(identity);
        Ok(Some(Arc::new(Self {
            files,
            name,
            current,
        })))
    }

    /// Reads the files again whenever they have changed. What can't be used is said, once, and changes nothing.
    pub(crate) async fn follow(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut seen = None;
        loop {
            select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => return,
            }
            let tls = self.clone();
            let look = work(async move { tls.look(seen) });
            seen = look.await.map_or(seen, Some);
        }
    }

    /// What the files were like when they were looked at.
    pub(super) fn look(&self, seen: Option<u128>) -> u128 {
        let texts = Texts::read(&self.files);
        let now = match &texts {
            Ok(texts) => texts.hash(),
            Err(error) => Texts::hash_of_error(error),
        };
        if seen == Some(now) || self.current.load().made_of == now {
            return now;
        }
        match texts.and_then(|texts| Identity::of(&self.files, &texts, &self.name)) {
            Ok(identity) => {
                self.current.store(Arc::new(identity));
                info!(
                    "the files of --peer-tls have changed: new connections between nodes use what is in them"
                );
            }
            Err(error) => {
                warn!(
                    "the files of --peer-tls have changed and can't be used, so the ones before stay in use: {error}"
                );
            }
        }
        now
    }

    /// A connection to a node that has a certificate for this name, and takes ours.
    pub(super) async fn connect(
        &self,
        stream: Stream,
        name: ServerName<'static>,
    ) -> io::Result<client::TlsStream<Stream>> {
        let config = self.current.load().client.clone();
        let mut stream = TlsConnector::from(config).connect(name, stream).await?;
        // Whether it takes our certificate is only known when it says something, and a node begins with its settings of HTTP/2.
        if stream.fill_buf().await?.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(stream)
    }

    /// A connection of a node that has shown a certificate.
    pub(super) async fn accept(&self, stream: Stream) -> io::Result<server::TlsStream<Stream>> {
        let config = self.current.load().server.clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}
