//! What the nodes of a cluster show each other with each request, so that nobody else is taken for one of them.
//!
//! Requests between nodes say who the client is, and which request of whose a repetition is: only a node may say so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use constant_time_eq::constant_time_eq;

use crate::{peer_link::Refusal, problem::Problem};

/// Carries the secret.
pub(crate) const SECRET: HeaderName = HeaderName::from_static("memgen-peer-secret");
/// Marks the answer to a request without it.
const STRANGER: HeaderName = HeaderName::from_static("memgen-stranger");

/// The secret of a cluster, if it has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerSecret(Option<HeaderValue>);

impl PeerSecret {
    /// `text` was checked when the settings were read: what no header can have is no secret.
    pub(crate) fn new(text: Option<&str>) -> Self {
        let value = text.and_then(|text| HeaderValue::from_str(text).ok());
        Self(value.map(|mut value| {
            value.set_sensitive(true);
            value
        }))
    }

    /// Puts it into a request, in the place of whatever is there.
    pub(crate) fn show(&self, headers: &mut HeaderMap) {
        headers.remove(SECRET);
        if let Some(secret) = &self.0 {
            headers.insert(SECRET, secret.clone());
        }
    }

    /// The router, for those who know the secret.
    pub(crate) fn guard(&self, router: Router) -> Router {
        let Some(secret) = self.0.clone() else {
            return router;
        };
        let told = Arc::new(AtomicBool::new(false));
        router.layer(from_fn(move |mut request: Request, next: Next| {
            let shown = request.headers_mut().remove(SECRET);
            let knows = shown.is_some_and(|shown| {
                // The time that it takes tells nothing of the secret.
                constant_time_eq(shown.as_bytes(), secret.as_bytes())
            });
            let told = told.clone();
            async move {
                if knows {
                    return next.run(request).await;
                }
                if !told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "a request between nodes did not show the cluster's secret, and was refused: either `--peer-secret` is not the same at all nodes, \
                         or somebody else tries; further ones are not mentioned"
                    );
                }
                stranger()
            }
        }))
    }
}

fn stranger() -> Response {
    let why = "this address is for the other nodes of the cluster, which know its secret";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, why).into_response();
    response
        .headers_mut()
        .insert(STRANGER, HeaderValue::from_static("?1"));
    response
}

/// Sees whether a node took this one for a stranger.
///
/// # Errors
/// If it did.
pub(crate) fn admitted<B>(response: &Response<B>) -> Result<(), Refusal> {
    if response.headers().contains_key(STRANGER) {
        let why = "it does not know this node's `--peer-secret`";
        return Err(Refusal::new(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    /// What a guarded node answers to one that shows `shown`, after a client wrote a secret of its own.
    async fn asked(known: Option<&str>, shown: Option<&str>) -> Response {
        let router = Router::new().route(
            "/",
            get(|headers: HeaderMap| async move {
                // Those behind the guard, users' functions among them, never see it.
                headers.contains_key(SECRET).to_string()
            }),
        );
        let mut request = Request::new(Body::empty());
        let forged = HeaderValue::from_static("0123456789abcdef");
        request.headers_mut().insert(SECRET, forged);
        PeerSecret::new(shown).show(request.headers_mut());
        let guarded = PeerSecret::new(known).guard(router);
        guarded.oneshot(request).await.expect("it never fails")
    }

    #[tokio::test]
    async fn only_those_who_know_it_get_in() {
        let (right, wrong) = (Some("0123456789abcdef"), Some("0123456789abcdeF"));
        for (known, shown, gets_in) in [
            (right, right, true),
            (right, wrong, false),
            (right, None, false),
            (None, None, true),
        ] {
            let response = asked(known, shown).await;
            assert_eq!(
                response.status().is_success(),
                gets_in,
                "{known:?} {shown:?}"
            );
            assert_eq!(admitted(&response).is_ok(), gets_in);
            let body = axum::body::to_bytes(response.into_body(), 1000).await;
            let seen = body.expect("it is short");
            assert_eq!(gets_in, seen == "false", "{seen:?}");
        }
    }
}
