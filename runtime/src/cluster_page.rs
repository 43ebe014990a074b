//! `/cluster` on the admin listener: nodes, partitions, lag and takeovers, live, as a page. It needs nothing from elsewhere.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    http::{HeaderName, Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    admin::{Health, PEER_STATUS_PATH, status},
    ambient::now_ms,
    coordinator::Node,
    forward::Envelope,
};

/// How long another node may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// The page loads only what comes from here.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// What the page shows.
#[derive(Serialize)]
struct Overview<'a> {
    /// The node that asked the others.
    asked: &'a str,
    /// The clock of that node, so that the page needs none.
    now_seconds: u64,
    /// The status of each node; none for those that do not answer.
    nodes: BTreeMap<&'a str, Option<Value>>,
}

/// The routes of the page.
pub(crate) fn router(health: &Arc<Health>) -> Router {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move {
            let headers: [(HeaderName, &str); 3] = [
                (header::CONTENT_TYPE, content_type),
                (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, text)
        })
    };
    let health = health.clone();
    Router::new()
        .route(
            "/cluster",
            file(
                "text/html; charset=utf-8",
                include_str!("cluster_page/page.html"),
            ),
        )
        .route(
            "/cluster/icon.svg",
            file("image/svg+xml", include_str!("cluster_page/icon.svg")),
        )
        .route(
            "/cluster/page.css",
            file(
                "text/css; charset=utf-8",
                include_str!("cluster_page/page.css"),
            ),
        )
        .route(
            "/cluster/page.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("cluster_page/page.js"),
            ),
        )
        .route(
            "/cluster/status",
            get(move || async move { overview(&health).await }),
        )
}

/// Asks all nodes at once.
async fn overview(health: &Health) -> Response {
    let view = health.nodes.now();
    let asked = view.nodes.values().map(|node| async {
        if node.id == health.node {
            return (node.id.as_str(), Some(status(health)));
        }
        (node.id.as_str(), ask(health, node).await)
    });
    let overview = Overview {
        asked: &health.node,
        now_seconds: now_ms() / 1000,
        nodes: join_all(asked).await.into_iter().collect(),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(overview)).into_response()
}

/// What another node says of itself, if it does.
async fn ask(health: &Health, node: &Node) -> Option<Value> {
    let deadline = Instant::now() + PATIENCE;
    let peer = node.peer();
    let answer = health.nodes.peers.call(
        &peer,
        Method::GET,
        PEER_STATUS_PATH,
        &[],
        Bytes::new(),
        Envelope::own(deadline),
    );
    let body = answer.await.ok()?.into_body().collect();
    let body = tokio::time::timeout_at(deadline, body).await.ok()?.ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}
