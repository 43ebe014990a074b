//! Takes in connections of other nodes, and nobody else's: whoever does not begin as a node does is turned away in time, and keeps no place that a node needs.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt as _, task::AbortHandle, time::timeout};
use tracing::{debug, warn};

use super::{
    PeerStream, TLS_HANDSHAKE,
    refusal::{Refusal, Seldom},
    tls::PeerTls,
};
use crate::{ambient::spawn, metrics::Metrics, network::Stream};

/// How long a connection may take to show that it is a node's.
const BEGIN_MAX: Duration = Duration::from_secs(5);

/// Connections that have not shown it yet. Beyond it the one that has taken longest goes: a node needs milliseconds.
pub(super) const PENDING_MAX: usize = 256;

/// What is said to one that asks for TLS where there is none: it is not TLS, and that is the answer.
const NO_TLS: &[u8] = b"this node speaks no TLS\n";

/// Says who gets in at the peer address of a node.
pub(crate) struct Entrance {
    tls: Option<Arc<PeerTls>>,
    metrics: Metrics,
    told: Seldom,
}

impl Entrance {
    pub(crate) fn new(tls: Option<Arc<PeerTls>>, metrics: Metrics) -> Self {
        let told = Seldom::default();
        Self { tls, metrics, told }
    }

    /// The connection, if a node is at its other end. Without TLS that is for the secret to say, with each request.
    pub(crate) async fn admit(&self, stream: Stream, address: SocketAddr) -> Option<PeerStream> {
        let begun = timeout(BEGIN_MAX, self.begin(stream)).await;
        let why = match begun {
            Ok(Ok(stream)) => return Some(stream),
            Err(_) => format!("it said nothing for {} s", BEGIN_MAX.as_secs()),
            Ok(Err(error)) => {
                let Some(refusal) = Refusal::behind(&error) else {
                    // Somebody who looked whether anybody is here, as nodes do, or who died.
                    debug!(%address, %error, "a connection of a node did not begin");
                    return None;
                };
                refusal.to_string()
            }
        };
        self.metrics.peer_connections_refused.inc();
        if self.told.is_due() {
            warn!(%address, "refused a connection at the peer address: {why}; not said again for a while");
        }
        None
    }

    async fn begin(&self, mut stream: Stream) -> io::Result<PeerStream> {
        if let Some(tls) = &self.tls {
            return match tls.accept(stream).await {
                Ok(stream) => Ok(PeerStream::Tls(Box::new(stream.into()))),
                Err(error) => Err(match Refusal::of_handshake(&error) {
                    Some(refusal) => refusal.into(),
                    None => error,
                }),
            };
        }
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first == [TLS_HANDSHAKE] {
            stream.write_all(NO_TLS).await?;
            let why = "it speaks TLS, and this node does not: set `--peer-tls-cert` at all nodes, or at none";
            return Err(Refusal(why.into()).into());
        }
        Ok(PeerStream::Plain(stream, None))
    }
}

/// The connections that have not begun yet, oldest first. Dropping it ends them.
#[derive(Default)]
pub(crate) struct Pending(VecDeque<AbortHandle>);

impl Pending {
    /// Begins one more. `begin` must leave what comes of it to a task of its own.
    pub(crate) fn spawn(
        &mut self,
        entrance: &Entrance,
        begin: impl Future<Output = ()> + Send + 'static,
    ) {
        if self.0.len() >= PENDING_MAX {
            self.0.retain(|pending| !pending.is_finished());
        }
        if self.0.len() >= PENDING_MAX
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
            entrance.metrics.peer_connections_refused.inc();
        }
        self.0.push_back(spawn(begin).abort_handle());
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        for pending in &self.0 {
            pending.abort();
        }
    }
}
