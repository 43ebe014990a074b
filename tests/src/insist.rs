//! Requests that are repeated under their id until somebody knows what became of them.

use std::time::{Duration, Instant};

use crate::{Places, Reply};

/// Nobody waits longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// `POST path`, with a body if there is one, at a node that may come and go. The answer is one that says what became of it.
///
/// # Panics
/// If there is none for two minutes.
pub async fn insist(
    places: &Places,
    node: usize,
    path: &str,
    body: Option<&serde_json::Value>,
    id: &str,
) -> Reply {
    let began = Instant::now();
    loop {
        let client = places.client(node).await;
        let request = client.request("POST", path).header("idempotency-key", id);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        match request.try_send().await {
            Ok(reply) if !is_open(&reply) => return reply,
            unclear => assert!(began.elapsed() < PATIENCE, "{path} {id}: {unclear:?}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the same request has to come again: nobody knows, or the one before still runs.
fn is_open(reply: &Reply) -> bool {
    match reply.status {
        503 => true,
        409 => reply.text().contains("still runs"),
        _ => false,
    }
}
