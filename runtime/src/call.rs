//! One request on its way from the router to the function that answers it.
//!
//! The code that the macros emit takes these steps: [`Call::enter`] finds the key's partition, and forwards the request if another
//! node owns it; `path`, `json` and `part` make the arguments; `query`, `update`, `command` or `answer` run the function.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderName, Request, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::{
    ambient::unique,
    cluster::{Pause, Peer, Unanswered},
    forward::{self, CALLER, Envelope, REQUEST, TIME_LEFT},
    home::{Home, HomePlace, RunningGuard},
    idempotency, json,
    key::KeyReader,
    mailbox::{RETRY_AFTER_SECONDS, Recall, Refusal},
    node::{Context, Node},
    partitions::{Copy, Owner, Slot, just},
    position::{self, ReadOptions},
    problem::Problem,
    state::State,
    template::Template,
};

mod free;
mod halt;
mod keyed;
mod prefer;
mod to_end;

pub(crate) use self::halt::Why;
use self::keyed::At;
pub use self::{free::Free, halt::Halt, keyed::Keyed};

/// The future of an answer.
pub type CallFuture = Pin<Box<dyn Future<Output = Result<Response, Halt>> + Send>>;

/// How a request came to this node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via {
    /// By the public listener; what its headers claim about forwarding is not believed.
    Public,
    /// By the peer listener.
    Peer,
}

/// Which client a request came from. An argument of this type can stand in every handler.
///
/// ```
/// use memgen::prelude::*;
///
/// #[handler(get, "/whoami")]
/// async fn whoami(caller: Caller) -> String {
///     caller.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The address of the client's connection, also if another node forwarded the request.
    pub address: Option<SocketAddr>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts
            .extensions
            .get()
            .copied()
            .unwrap_or(Self { address: None }))
    }
}

/// A request that was routed.
///
/// It moves through several futures, each of which has a place for it; so it is on the heap, and the futures stay small.
pub struct Call(Box<Routed>);

/// What a call consists of.
pub(crate) struct Routed {
    node: Arc<Node>,
    template: Arc<Template>,
    parts: Parts,
    /// Behind a lock only because a body may be sent but not shared, and a call is both; nobody ever waits for it.
    body: Mutex<Option<Body>>,
    read: Bytes,
    /// Another node passed it on.
    from_peer: bool,
    /// When the time for an answer is up.
    deadline: Instant,
    /// What tells this request from every other, once it left this node or came from another: it happens once, however often it is sent.
    id: Option<Box<str>>,
}

impl Call {
    pub(crate) fn new(
        node: Arc<Node>,
        template: Arc<Template>,
        request: Request<Body>,
        via: Via,
    ) -> Self {
        let (mut parts, body) = request.into_parts();
        let mut id = None;
        let mut patience = node.config.limits.request_timeout;
        let from_peer = matches!(via, Via::Peer);
        if from_peer {
            if let Some(address) = header_value(&parts, &CALLER) {
                parts.extensions.insert(Caller {
                    address: Some(address),
                });
            }
            id = header_value::<String>(&parts, &REQUEST).map(Into::into);
            if let Some(left_ms) = header_value(&parts, &TIME_LEFT) {
                patience = patience.min(Duration::from_millis(left_ms));
            }
        }
        Self(Box::new(Routed {
            node,
            template,
            parts,
            body: Mutex::new(Some(body)),
            read: Bytes::new(),
            from_peer,
            deadline: Instant::now() + patience,
            id,
        }))
    }

    /// The same request once more. Its body must have been read, unless it has none.
    pub(crate) fn again(&self) -> Self {
        Self(Box::new(Routed {
            node: self.0.node.clone(),
            template: self.0.template.clone(),
            parts: self.0.parts.clone(),
            body: Mutex::new(None),
            read: self.0.read.clone(),
            from_peer: self.0.from_peer,
            deadline: self.0.deadline,
            id: self.0.id.clone(),
        }))
    }

    /// When the time for an answer is up.
    pub(crate) fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Whether another node passed it on.
    #[cfg(feature = "contract")]
    pub(crate) fn is_from_peer(&self) -> bool {
        self.0.from_peer
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.0.node
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(crate) fn parts_mut(&mut self) -> &mut Parts {
        &mut self.0.parts
    }

    pub(crate) fn template(&self) -> &Template {
        &self.0.template
    }

    /// Finds the key of a state in the path, and goes on here if this node owns it. Otherwise the answer is the owner's.
    ///
    /// # Errors
    /// The early answer: 400 for text that is no key, the owner's answer, or 503.
    pub async fn enter<S: State>(self) -> Result<Keyed<S>, Halt> {
        let key = self.key::<S>()?;
        self.enter_at(key).await
    }

    /// Goes on with this key.
    pub(crate) async fn enter_at<S: State>(mut self, key: S::Key) -> Result<Keyed<S>, Halt> {
        let node = self.0.node.clone();
        let slot = node.partitions::<S>()?.locate(&key);
        if self.0.parts.method.is_safe()
            && let Some(copy) = self.copy(slot, &key).await?
        {
            return Ok(Keyed {
                call: self,
                key,
                at: At::Copy(copy),
            });
        }
        let mut pause = Pause::new(self.0.deadline);
        loop {
            match slot.owner(self.0.deadline).await? {
                Owner::Here(here) => {
                    return Ok(Keyed {
                        call: self,
                        key,
                        at: At::Owner(here),
                    });
                }
                Owner::Peer(peer) => match self.forward(&peer).await {
                    Ok(response) => return Err(response.into()),
                    Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
                },
            }
        }
    }

    /// The copy that answers a read which a standby may answer, if there is one here that is new enough and not the owner's own.
    async fn copy<S: State>(
        &self,
        slot: &Slot<S>,
        key: &S::Key,
    ) -> Result<Option<Arc<Copy<S>>>, Problem> {
        let options = ReadOptions::parse(&self.0.parts.headers)?;
        if !options.replica || slot.here().is_some() {
            return Ok(None);
        }
        let Some(copy) = slot.copy() else {
            return Ok(None);
        };
        let satisfies = Box::pin(copy.satisfies(&options, just(key), self.0.deadline));
        Ok(satisfies.await.then_some(copy))
    }

    /// The key of a state in the path.
    pub(crate) fn key<S: State>(&self) -> Result<S::Key, Halt> {
        let path = self.0.parts.uri.path();
        let value = |field: &&str| self.0.template.value(path, field);
        let fields = S::DEFINITION.key_fields;
        let (one, several);
        let parts: &[_] = if let [field] = fields {
            one = [value(field)?];
            &one
        } else {
            several = fields.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            &several
        };
        let bytes_max = self.0.node.config.limits.key_bytes_max;
        if parts.iter().map(|part| part.len()).sum::<usize>() > bytes_max {
            return Err(Problem::uri_too_long(bytes_max as u64).into());
        }
        Ok(S::read_key(&mut KeyReader::new(parts))?)
    }

    /// Goes on as a request that belongs to no key.
    ///
    /// With an `Idempotency-Key` it has a home all the same: the partition that remembers its reply.
    ///
    /// # Errors
    /// The early answer: the first reply to a request that comes again, 422 for a reused key, 409 while the first one
    /// still runs, or 503.
    pub async fn free(mut self) -> Result<Free, Halt> {
        let Parts {
            headers, method, ..
        } = &self.0.parts;
        let has_id = headers.contains_key(idempotency::HEADER) && !method.is_safe();
        let home = self.0.node.home.clone().filter(|_| has_id);
        let guard = match home {
            // In a place of its own: most requests have no id, and wait in less room.
            Some(home) => Box::pin(self.guard(&*home)).await?,
            None => None,
        };
        Ok(Free { call: self, guard })
    }

    /// Lets the home of the request's id know that it runs, unless it has run before.
    async fn guard(&mut self, home: &dyn Home) -> Result<Option<RunningGuard>, Halt> {
        let body = self.body().await?;
        let Parts {
            headers,
            method,
            uri,
            ..
        } = &self.0.parts;
        let Some(request) = idempotency::request_id(headers, method, uri, &body)? else {
            return Ok(None);
        };
        let (deadline, mut pause) = (self.0.deadline, Pause::new(self.0.deadline));
        let home = loop {
            match home.find(&request.id, deadline).await? {
                HomePlace::Here(home) => break home,
                HomePlace::Peer(peer) => match self.forward(&peer).await {
                    Ok(response) => return Err(response.into()),
                    Err(unanswered) => pause.after(unanswered, &self.0.node.cluster).await?,
                },
            }
        };
        match home.recall(request.clone()).await? {
            Recall::New => Ok(Some(RunningGuard {
                home,
                request: Some(request),
            })),
            Recall::Done(reply, offset) => {
                let mut response = idempotency::decode(&reply);
                let value = position::header_value(home.partition(), offset);
                response.headers_mut().insert(position::POSITION, value);
                Err(response.into())
            }
            Recall::Differs => Err(idempotency::differs().into()),
            Recall::Running => {
                let detail = "the first request with this `Idempotency-Key` still runs";
                let problem = Problem::conflict(detail);
                Err(problem.with_retry_after(RETRY_AFTER_SECONDS).into())
            }
        }
    }

    /// Passes the call on to the owner, and gives its answer.
    pub(crate) async fn forward(&mut self, peer: &Peer) -> Result<Response, Unanswered> {
        // The node that a client asks knows the owner, or waits to know: nobody else needs to pass a request on, and none goes in circles.
        if self.0.from_peer {
            return Ok(forward::moved());
        }
        let body = self.body().await.map_err(Unanswered::Refused)?;
        let Parts {
            method, headers, ..
        } = &self.0.parts;
        // From now on it may have happened although nobody answers.
        if !method.is_safe() && !headers.contains_key(idempotency::HEADER) && self.0.id.is_none() {
            self.0.id = Some(unique().to_string().into());
        }
        let caller = self.0.parts.extensions.get::<Caller>();
        let envelope = Envelope {
            caller: caller.and_then(|caller| caller.address),
            deadline: self.0.deadline,
            request: self.0.id.as_deref(),
        };
        let cluster = &self.0.node.cluster;
        let asked = cluster.peers.forward(peer, &self.0.parts, body, envelope);
        cluster.while_there(peer, asked).await
    }

    /// The whole body, within the limits of length and time.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Problem> {
        let limit = self.0.node.config.limits.body_bytes_max;
        self.body_within(limit).await
    }

    /// The whole body, within this length and the limit of time.
    pub(crate) async fn body_within(&mut self, limit: usize) -> Result<Bytes, Problem> {
        // What is left of a body that was refused ends the connection, so the answer says so: the client must not send its
        // next request there.
        let read = self.read_body(limit).await;
        read.map_err(|problem| problem.with_header(header::CONNECTION, "close"))
    }

    async fn read_body(&mut self, limit: usize) -> Result<Bytes, Problem> {
        let body = self
            .0
            .body
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(body) = body else {
            return Ok(self.0.read.clone());
        };
        let encoding = self.0.parts.headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            let problem = Problem::unsupported_media_type("a body that is not compressed");
            return Err(problem.with_header(header::ACCEPT_ENCODING, "identity"));
        }
        let limits = &self.0.node.config.limits;
        if header_value::<u64>(&self.0.parts, &header::CONTENT_LENGTH)
            .is_some_and(|length| length > limit as u64)
        {
            return Err(Problem::content_too_large(limit as u64));
        }
        let whole = Limited::new(body, limit).collect();
        self.0.read = match tokio::time::timeout(limits.body_timeout, whole).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(Problem::content_too_large(limit as u64));
            }
            Ok(Err(error)) => {
                return Err(Problem::bad_request(format!("the body broke off: {error}")));
            }
            Err(_) => return Err(Problem::request_timeout("the body did not arrive in time")),
        };
        Ok(self.0.read.clone())
    }

    /// The JSON body as a `T`. `also` is a media type that is accepted besides `application/json`.
    pub(crate) async fn read_json<T: DeserializeOwned>(
        &mut self,
        also: Option<&str>,
    ) -> Result<T, Problem> {
        self.read_json_by(also, |body| serde_json::from_slice(body))
            .await
    }

    /// The JSON body as `parse` reads it.
    pub(crate) async fn read_json_by<T>(
        &mut self,
        also: Option<&str>,
        parse: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, Problem> {
        let body = self.body().await?;
        json::read(
            &self.0.parts.headers,
            &body,
            self.0.node.config.limits.json_depth_max,
            also,
            parse,
        )
    }

    fn path_value<T: DeserializeOwned>(&self, name: &str) -> Result<T, Problem> {
        let text = self.0.template.value(self.0.parts.uri.path(), name)?;
        if text.bytes().any(|byte| byte == 0) {
            return Err(Problem::bad_request(format!(
                "`{name}` in the path contains NUL"
            )));
        }
        serde_plain::from_str(&text)
            .map_err(|error| Problem::bad_request(format!("`{name}` in the path: {error}")))
    }

    async fn extract<T: FromRequestParts<Context>>(&mut self) -> Result<T, Halt> {
        let context = Context(self.0.node.clone());
        match T::from_request_parts(&mut self.0.parts, &context).await {
            Ok(part) => Ok(part),
            Err(rejection) => Err(as_problem(rejection.into_response()).await.into()),
        }
    }
}

/// The text of axum's and others' rejections, as a problem document.
async fn as_problem(response: Response) -> Response {
    let json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes() == crate::problem::MEDIA_TYPE.as_bytes());
    if json || !(response.status().is_client_error() || response.status().is_server_error()) {
        return response;
    }
    let status = response.status();
    let text = match Limited::new(response.into_body(), 4096).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    Problem::new(status, text).into_response()
}

fn header_value<T: FromStr>(parts: &Parts, name: &HeaderName) -> Option<T> {
    parts.headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The answer when the function was not done in time.
pub(crate) fn time_is_up() -> Problem {
    Problem::unavailable("the time of this request is up", RETRY_AFTER_SECONDS)
}

pub(crate) fn nobody() -> Problem {
    Problem::unavailable(
        "no node serves the partition of this key",
        RETRY_AFTER_SECONDS,
    )
}

/// Waits for the log, but not for ever. The write may still happen after that, and the answer says so.
pub(crate) async fn patiently<T>(
    deadline: Instant,
    asked: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Unanswered> {
    match timeout_at(deadline, asked).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(Refusal::Moved)) => Err(Unanswered::Moved),
        Ok(Err(Refusal::Unknown)) => Err(Unanswered::Unknown),
        Ok(Err(refusal @ Refusal::Undone(_))) => Err(Unanswered::Undone(refusal.into())),
        Ok(Err(refusal)) => Err(Problem::from(refusal).into()),
        Err(_) => Err(Problem::from(Refusal::Unknown).into()),
    }
}

pub(crate) fn missing<S: State>(key: &S::Key) -> Problem {
    Problem::not_found(format!(
        "there is no {} `{}`",
        S::DEFINITION.name,
        crate::key::key_text::<S>(key)
    ))
}
