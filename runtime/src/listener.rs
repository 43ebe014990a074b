//! Accepts connections and serves them, within limits of number, head and time.

mod error_pages;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Version, header},
    response::{IntoResponse as _, Response},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::AsyncWriteExt,
    sync::{Semaphore, mpsc, watch},
};
use tower::Service as _;
use tracing::{debug, warn};

use self::error_pages::ErrorPages;
use crate::{
    ambient::{Executor, select, spawn},
    call::Caller,
    config::Limits,
    forward::HEAD_BYTES_MAX,
    gather::gather,
    metrics::Metrics,
    network::{Listening, Stream},
    peer_link::{Entrance, PeerStream, Pending},
    problem::Problem,
};

/// How long to wait after the system refused a connection (too many open files), so that the loop does not spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Requests of one connection between peers at a time, besides feeds.
const PEER_STREAMS_MAX: u32 = 1024;

/// What a client beyond the limit of connections is told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\n\
    retry-after: 1\r\nconnection: close\r\ncontent-length: 116\r\n\r\n\
    {\"type\":\"urn:memgen:problem:unavailable\",\"title\":\"Service Unavailable\",\
    \"status\":503,\"detail\":\"too many connections\"}";

/// What is spoken on a listener.
#[derive(Clone)]
pub(crate) enum Protocol {
    /// HTTP/1.1, for clients.
    Http1,
    /// HTTP/2 with prior knowledge, between peers, for those that get in.
    Http2(Arc<Entrance>),
}

/// One listening address.
pub(crate) struct Listener {
    pub(crate) socket: Listening,
    pub(crate) protocol: Protocol,
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) metrics: Option<Metrics>,
}

impl Listener {
    /// Serves until `stop` says so, then lets requests in progress end, for as long as the grace of the limits.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let (alive, mut all) = mpsc::channel::<Infallible>(1);
        let slots = Arc::new(Semaphore::new(self.limits.connections_max));
        let mut pending = Pending::default();
        let feeds = u32::try_from(self.limits.feeds_max).unwrap_or(u32::MAX);
        let streams_max = PEER_STREAMS_MAX.saturating_add(feeds);
        loop {
            let (stream, address) = select! {
                () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
                accepted = self.socket.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        refused_by_system(&error);
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                        continue;
                    }
                },
            };
            match &self.protocol {
                Protocol::Http1 => {
                    let Ok(slot) = slots.clone().try_acquire_owned() else {
                        if let Some(metrics) = &self.metrics {
                            metrics.connections_refused.inc();
                        }
                        turn_away(stream);
                        continue;
                    };
                    let open = self.metrics.as_ref().map(OpenConnection::new);
                    let hold = (slot, open, alive.clone());
                    let connection = self.http1(stream, address, stop.clone());
                    spawn(async move {
                        if let Err(error) = connection.await {
                            debug!(%address, %error, "connection ended");
                        }
                        drop(hold);
                    });
                }
                Protocol::Http2(entrance) => {
                    let (slots, watcher) = (slots.clone(), graceful.watcher());
                    let (router, admitted) = (self.router.clone(), entrance.clone());
                    // Who has not got in yet has no place among the connections.
                    pending.spawn(entrance, async move {
                        let Some(stream) = admitted.admit(stream, address).await else {
                            return;
                        };
                        let Ok(slot) = slots.try_acquire_owned() else {
                            warn!(%address, "refused a connection of a node: there are too many (--connections-max)");
                            return;
                        };
                        let connection = watcher.watch(http2(router, streams_max, stream, address));
                        spawn(async move {
                            if let Err(error) = gather(connection).await {
                                debug!(%address, %error, "connection ended");
                            }
                            drop(slot);
                        });
                    });
                }
            }
        }
        drop((self.socket, pending, alive));
        let ended = async {
            graceful.shutdown().await;
            // Nothing is ever sent: it ends with the last one that could.
            let _ = all.recv().await;
        };
        if tokio::time::timeout(self.limits.shutdown_grace, ended)
            .await
            .is_err()
        {
            warn!("requests still ran when the time to stop was up");
        }
    }

    /// A connection of a client, which may become a WebSocket: that is none of the listener's any more.
    fn http1(
        &self,
        stream: Stream,
        address: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) -> impl Future<Output = hyper::Result<()>> + Send + 'static {
        let router = self.router.clone();
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(self.limits.header_bytes_max.max(8192))
            .max_headers(self.limits.header_count_max)
            .serve_connection(
                TokioIo::new(ErrorPages::new(stream)),
                service_fn(move |request| serve_client(router.clone(), request, address)),
            )
            .with_upgrades();
        async move {
            tokio::pin!(connection);
            select! {
                ended = connection.as_mut() => return ended,
                () = async { drop(stop.wait_for(|stop| *stop).await) } => {}
            }
            // What is under way may end, and nothing new begins.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

fn http2(
    router: Router,
    streams_max: u32,
    stream: PeerStream,
    address: SocketAddr,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + 'static {
    hyper::server::conn::http2::Builder::new(Executor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams_max)
        .max_header_list_size(HEAD_BYTES_MAX)
        // Whoever passes the answer on dates it.
        .auto_date_header(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| serve(router.clone(), request, address)),
        )
}

/// RFC 9112, section 3.2: a request of HTTP/1.1 names its host, once.
async fn serve_client(
    router: Router,
    request: Request<Incoming>,
    address: SocketAddr,
) -> Result<Response, Infallible> {
    if request.version() == Version::HTTP_11
        && request.headers().get_all(header::HOST).iter().count() != 1
    {
        let problem = Problem::bad_request("a request of HTTP/1.1 has one `Host` field");
        return Ok(problem.into_response());
    }
    serve(router, request, address).await
}

async fn serve(
    mut router: Router,
    request: Request<Incoming>,
    address: SocketAddr,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Caller {
        address: Some(address),
    });
    router.call(request).await
}

/// Answers without a place among the connections: one write into the socket's own buffer, and gone.
fn turn_away(mut stream: Stream) {
    spawn(async move {
        let told = stream.write_all(TOO_MANY);
        drop(tokio::time::timeout(Duration::from_secs(1), told).await);
    });
}

fn refused_by_system(error: &io::Error) {
    // A client that gave up between its knock and our answer is none of our business.
    if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        warn!(%error, "a connection could not be accepted");
    }
}

/// Counts a connection for as long as it is open.
struct OpenConnection(Metrics);

impl OpenConnection {
    fn new(metrics: &Metrics) -> Self {
        metrics.connections.inc();
        Self(metrics.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canned_answer_says_its_own_length() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
