//! Opens connections to other nodes.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tracing::warn;

use super::{
    PeerStream, TLS_ALERT,
    refusal::{Refusal, Seldom},
    tls::{PeerTls, server_name},
};
use crate::{coordinator::View, network::Stream};

/// How long a node may take to accept a connection, and then for the handshake.
const SILENT_MAX: Duration = Duration::from_millis(1500);

/// Opens connections to the nodes that the coordinator shows.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: Option<Arc<PeerTls>>,
    /// It says which name the certificate of a node must be for.
    view: watch::Receiver<Arc<View>>,
    told: Arc<Seldom>,
}

impl Connector {
    pub(crate) fn new(tls: Option<Arc<PeerTls>>, view: watch::Receiver<Arc<View>>) -> Self {
        Self {
            tls,
            view,
            told: Arc::default(),
        }
    }

    /// The node at an address, and the name that its certificate must be for.
    fn node_at(&self, address: SocketAddr) -> io::Result<(String, ServerName<'static>)> {
        let view = self.view.borrow();
        let mut nodes = view.nodes.values();
        let node = nodes.find(|node| node.peer == address);
        let node = node.ok_or_else(|| io::Error::other("no node is there"))?;
        let name = server_name(node.host.as_deref(), address.ip()).map_err(Refusal)?;
        Ok((node.id.clone(), name))
    }

    /// Opens a connection to the node at an address.
    ///
    /// # Errors
    /// Why there is none; behind it a [`Refusal`] if one of the two is to be mended.
    pub(crate) async fn connect(self, address: SocketAddr) -> io::Result<PeerStream> {
        let stream = timeout(SILENT_MAX, Stream::connect(address)).await??;
        let Some(tls) = &self.tls else {
            let unheard = Unheard {
                address,
                told: self.told,
            };
            return Ok(PeerStream::Plain(stream, Some(unheard)));
        };
        let (node, name) = self.node_at(address)?;
        match timeout(SILENT_MAX, tls.connect(stream, name)).await? {
            Ok(stream) => Ok(PeerStream::Tls(Box::new(stream.into()))),
            Err(error) => {
                let Some(refusal) = Refusal::of_handshake(&error) else {
                    return Err(error);
                };
                if self.told.is_due() {
                    warn!(node, %address, "no connection to a node: {refusal}; not said again for a while");
                }
                Err(refusal.into())
            }
        }
    }
}

/// A connection without TLS on which the other side has said nothing yet.
pub(crate) struct Unheard {
    address: SocketAddr,
    told: Arc<Seldom>,
}

impl Unheard {
    /// Looks at the first byte of what the other side says.
    pub(super) fn hears(self, first: u8) -> io::Result<()> {
        if first != TLS_ALERT {
            return Ok(());
        }
        let refusal = Refusal(
            "it speaks TLS, and this node does not: set `--peer-tls-cert` at all nodes, or at none"
                .into(),
        );
        if self.told.is_due() {
            let address = self.address;
            warn!(%address, "no connection to a node: {refusal}; not said again for a while");
        }
        Err(refusal.into())
    }
}
