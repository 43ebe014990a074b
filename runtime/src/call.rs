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
use uuid::Uuid;

use axum::{
    Json,
    body::Body,
    extract::FromRequestParts,
    http::{HeaderName, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::{
    cluster::{Pause, Peer, Unanswered},
    conditional::{Conditions, Etag, ReadOutcome},
    config::LogChoice,
    entry::Entry,
    forward::{self, CALLER, Envelope, HOPS, HOPS_MAX, REQUEST, TIME_LEFT},
    home::{HomePlace, RunningGuard},
    idempotency, json,
    key::KeyReader,
    mailbox::{Command, Job, RETRY_AFTER_SECONDS, Recall, Refusal},
    node::{Context, Node},
    partitions::{Copy, Here, Owner, Slot},
    position::{self, ReadOptions},
    problem::Problem,
    state::State,
    template::Template,
};

mod halt;
mod prefer;

pub use self::halt::Halt;
pub(crate) use self::halt::Why;
use self::prefer::{minimize, prefers_minimal};

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
    hops: u8,
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
        let (mut hops, mut id) = (0, None);
        let mut patience = node.config.limits.request_timeout;
        if let Via::Peer = via {
            if let Some(address) = header_value(&parts, &CALLER) {
                parts.extensions.insert(Caller {
                    address: Some(address),
                });
            }
            hops = header_value(&parts, &HOPS).unwrap_or(1);
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
            hops,
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
            hops: self.0.hops,
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
        self.0.hops > 0
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
            && let Some(copy) = self.copy(slot).await?
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
    async fn copy<S: State>(&self, slot: &Slot<S>) -> Result<Option<Arc<Copy<S>>>, Problem> {
        let options = ReadOptions::parse(&self.0.parts.headers)?;
        if !options.replica || slot.here().is_some() {
            return Ok(None);
        }
        let Some(copy) = slot.copy() else {
            return Ok(None);
        };
        let satisfies = copy.satisfies(&options, self.0.deadline).await;
        Ok(satisfies.then_some(copy))
    }

    fn key<S: State>(&self) -> Result<S::Key, Halt> {
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
        let mut guard = None;
        if self.0.parts.headers.contains_key(idempotency::HEADER)
            && !self.0.parts.method.is_safe()
            && let Some(home) = self.0.node.home.clone()
        {
            let body = self.body().await?;
            let Parts {
                headers,
                method,
                uri,
                ..
            } = &self.0.parts;
            if let Some(request) = idempotency::request_id(headers, method, uri, &body)? {
                let (deadline, mut pause) = (self.0.deadline, Pause::new(self.0.deadline));
                let home = loop {
                    match home.find(&request.id, deadline).await? {
                        HomePlace::Here(home) => break home,
                        HomePlace::Peer(peer) => match self.forward(&peer).await {
                            Ok(response) => return Err(response.into()),
                            Err(unanswered) => {
                                pause.after(unanswered, &self.0.node.cluster).await?;
                            }
                        },
                    }
                };
                match home.recall(request.clone()).await? {
                    Recall::New => {
                        guard = Some(RunningGuard {
                            home,
                            request: Some(request),
                        });
                    }
                    Recall::Done(reply, offset) => {
                        let mut response = idempotency::decode(&reply);
                        let value = position::header_value(home.partition(), offset);
                        response.headers_mut().insert(position::POSITION, value);
                        return Err(response.into());
                    }
                    Recall::Differs => return Err(idempotency::differs().into()),
                    Recall::Running => {
                        let detail = "the first request with this `Idempotency-Key` still runs";
                        let problem = Problem::conflict(detail);
                        return Err(problem.with_retry_after(RETRY_AFTER_SECONDS).into());
                    }
                }
            }
        }
        Ok(Free { call: self, guard })
    }

    /// Passes the call on to the owner, and gives its answer.
    pub(crate) async fn forward(&mut self, peer: &Peer) -> Result<Response, Unanswered> {
        if self.0.hops >= HOPS_MAX {
            return Ok(forward::moved());
        }
        let body = self.body().await.map_err(Unanswered::Refused)?;
        let Parts {
            method, headers, ..
        } = &self.0.parts;
        // From now on it may have happened although nobody answers.
        if !method.is_safe() && !headers.contains_key(idempotency::HEADER) && self.0.id.is_none() {
            self.0.id = Some(Uuid::new_v4().to_string().into());
        }
        let caller = self.0.parts.extensions.get::<Caller>();
        let envelope = Envelope {
            hops: self.0.hops,
            caller: caller.and_then(|caller| caller.address),
            deadline: self.0.deadline,
            request: self.0.id.as_deref(),
        };
        let peers = &self.0.node.cluster.peers;
        peers.forward(peer, &self.0.parts, body, envelope).await
    }

    /// The whole body, within the limits of length and time.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Problem> {
        // What is left of a body that was refused ends the connection, so the answer says so: the client must not send its
        // next request there.
        let read = self.read_body().await;
        read.map_err(|problem| problem.with_header(header::CONNECTION, "close"))
    }

    async fn read_body(&mut self) -> Result<Bytes, Problem> {
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
        let limit = limits.body_bytes_max;
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

pub(crate) fn nobody() -> Problem {
    Problem::unavailable(
        "no node serves the partition of this key",
        RETRY_AFTER_SECONDS,
    )
}

/// A request on one key of a state that this node owns, or has a copy of.
pub struct Keyed<S: State> {
    call: Call,
    key: S::Key,
    at: At<S>,
}

/// Where a request is answered.
enum At<S: State> {
    Owner(Arc<Here<S>>),
    /// Only reads that say that they may.
    Copy(Arc<Copy<S>>),
}

impl<S: State> Keyed<S> {
    pub(crate) fn key(&self) -> &S::Key {
        &self.key
    }

    pub(crate) fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    /// The argument that is the path placeholder `name`.
    ///
    /// # Errors
    /// 400 if the text there is not a `T`.
    pub fn path<T: DeserializeOwned>(&self, name: &str) -> Result<T, Halt> {
        Ok(self.call.path_value(name)?)
    }

    /// The argument that is the JSON body.
    ///
    /// # Errors
    /// 400, 408, 413, 415 or 422.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<Json<T>, Halt> {
        Ok(Json(self.call.read_json(None).await?))
    }

    /// An argument that is made of the request's head.
    ///
    /// # Errors
    /// What the extractor says, as a problem document.
    pub async fn part<T: crate::private::argument::Argument>(&mut self) -> Result<T, Halt> {
        self.call.extract().await
    }

    /// Answers from memory: 404 if the entity does not exist.
    ///
    /// # Errors
    /// The early answer.
    pub async fn query(self, see: impl FnOnce(&S) -> Response + Send) -> Result<Response, Halt> {
        self.read(|_, state| see(state)).await
    }

    /// Answers from memory: 404 if the entity does not exist.
    pub(crate) async fn read(
        &self,
        see: impl FnOnce(Etag, &S) -> Response + Send,
    ) -> Result<Response, Halt> {
        let found = self.look(see).await?;
        Ok(found.ok_or_else(|| missing::<S>(&self.key))?)
    }

    /// Reads the entity as the request's headers ask for, and lets `see` answer with its tag and itself. None if there is none.
    pub(crate) async fn look(
        &self,
        see: impl FnOnce(Etag, &S) -> Response + Send,
    ) -> Result<Option<Response>, Halt> {
        let headers = &self.call.0.parts.headers;
        let options = ReadOptions::parse(headers)?;
        let conditions = Conditions::parse(headers)?;
        let memory = match &self.at {
            At::Owner(here) => {
                if let Some(position) = options.min_position(&here.partition) {
                    here.reach(position, self.call.0.deadline).await?;
                }
                &here.memory
            }
            At::Copy(copy) => &copy.memory,
        };
        let mut answer = memory.with(&self.key, |stored| {
            let etag = Etag(stored.etag);
            let mut response = match conditions.check_read(etag) {
                ReadOutcome::Send => see(etag, &stored.state),
                ReadOutcome::NotModified => StatusCode::NOT_MODIFIED.into_response(),
                ReadOutcome::Failed => {
                    Problem::precondition_failed("`If-Match`: the entity has another version")
                        .into_response()
                }
            };
            if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
                response
                    .headers_mut()
                    .entry(header::ETAG)
                    .or_insert_with(|| etag.header_value());
            }
            response
        });
        let here = match &self.at {
            At::Owner(here) => here,
            At::Copy(copy) => {
                if let Some(response) = &mut answer {
                    copy.say_age(response.headers_mut());
                }
                return Ok(answer);
            }
        };
        match patiently(self.call.0.deadline, here.confirm(options.strict)).await {
            Ok(()) => Ok(answer),
            Err(Unanswered::Refused(problem)) => Err(problem.into()),
            Err(Unanswered::Moved | Unanswered::Undone(_) | Unanswered::Unknown) => {
                Err(Halt(Why::Moved(self.call.again())))
            }
        }
    }

    /// Changes an entity that exists: 404 otherwise.
    ///
    /// # Errors
    /// The early answer.
    pub async fn update(
        self,
        change: impl FnOnce(&mut S) -> Response + Send + 'static,
    ) -> Result<Response, Halt> {
        self.command(move |entry| match entry.get_mut() {
            Some(state) => change(state),
            None => missing::<S>(entry.key()).into_response(),
        })
        .await
    }

    /// Runs a command on an entity that may not exist. The answer waits until the change is in the log.
    ///
    /// # Errors
    /// The early answer.
    pub async fn command(
        self,
        run: impl FnOnce(&mut Entry<S>) -> Response + Send + 'static,
    ) -> Result<Response, Halt> {
        let Self { mut call, key, at } = self;
        let At::Owner(here) = at else {
            let detail = "`Memgen-Read: replica` is for requests that change nothing";
            return Err(Problem::bad_request(detail).into());
        };
        // Also for a command that needs no body: it is a part of what must be the same when an Idempotency-Key comes again.
        let body = call.body().await?;
        let Parts {
            headers,
            method,
            uri,
            ..
        } = &call.0.parts;
        let request = idempotency::request_id(headers, method, uri, &body)?;
        let request = request.or_else(|| {
            let id = call.0.id.as_deref()?;
            Some(idempotency::routed_id(id, method, uri, &body))
        });
        let conditions = Conditions::parse(headers)?;
        let minimal = prefers_minimal(headers);
        let deadline = call.0.deadline;
        // Head and body are windows on the connection's buffer, which would need a new one while the log is waited for. They are kept
        // only where the call may have to be made again: at another owner, or once the brokers of the log answer.
        let node = &call.0.node;
        let fails_over = node.cluster.is_shared() || node.config.log != LogChoice::Embedded;
        let again = fails_over.then_some(call);
        drop(body);
        let asked = here.mailbox.ask(|slot| {
            Job::Command(Command {
                key,
                conditions,
                request,
                run: Box::new(move |entry| {
                    let response = run(entry);
                    if minimal {
                        minimize(response)
                    } else {
                        response
                    }
                }),
                slot,
            })
        });
        let answer = match patiently(deadline, asked).await {
            Ok(answer) => answer,
            Err(unanswered) => {
                return Err(match (unanswered, again) {
                    (Unanswered::Refused(problem), _) | (Unanswered::Undone(problem), None) => {
                        problem.into()
                    }
                    (_, Some(call)) => Halt(Why::Moved(call)),
                    (_, None) => Problem::from(Refusal::Moved).into(),
                });
            }
        };
        let mut response = answer.response;
        if let Some(offset) = answer.offset {
            let value = position::header_value(&here.partition, offset);
            response.headers_mut().insert(position::POSITION, value);
        }
        Ok(response)
    }
}

/// A request that belongs to no key.
pub struct Free {
    call: Call,
    guard: Option<RunningGuard>,
}

impl Free {
    /// The argument that is the path placeholder `name`.
    ///
    /// # Errors
    /// 400 if the text there is not a `T`.
    pub fn path<T: DeserializeOwned>(&self, name: &str) -> Result<T, Halt> {
        Ok(self.call.path_value(name)?)
    }

    /// The argument that is the JSON body.
    ///
    /// # Errors
    /// 400, 408, 413, 415 or 422.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<Json<T>, Halt> {
        Ok(Json(self.call.read_json(None).await?))
    }

    /// An argument that is made of the request's head.
    ///
    /// # Errors
    /// What the extractor says, as a problem document.
    pub async fn part<T: crate::private::argument::Argument>(&mut self) -> Result<T, Halt> {
        self.call.extract().await
    }

    /// Runs the function, to its end even if the client goes away in the middle: what it began should not stay half done.
    ///
    /// # Errors
    /// 503 when the time of a request is up.
    pub async fn answer(
        self,
        run: impl Future<Output = Response> + Send + 'static,
    ) -> Result<Response, Halt> {
        let deadline = self.call.0.deadline;
        let guard = self.guard;
        let ran = tokio::spawn(async move {
            let response = tokio::time::timeout_at(deadline, run).await.map_err(|_| {
                Problem::unavailable("the time of this request is up", RETRY_AFTER_SECONDS)
            })?;
            match guard {
                Some(guard) => guard.finish(response).await,
                None => Ok(response),
            }
        });
        match ran.await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(Problem::internal("a handler panicked").into()),
        }
    }
}

/// Waits for the log, but not for ever. The write may still happen after that, and the answer says so.
pub(crate) async fn patiently<T>(
    deadline: Instant,
    asked: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Unanswered> {
    match timeout_at(deadline, asked).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(Refusal::Moved)) => Err(Unanswered::Moved),
        Ok(Err(refusal @ Refusal::Undone(_))) => Err(Unanswered::Undone(refusal.into())),
        Ok(Err(refusal)) => Err(Problem::from(refusal).into()),
        Err(_) => Err(Problem::unavailable(
            "the log did not confirm in time; the write may still happen. Repeat it with the same \
             `Idempotency-Key` to be sure that it happens once",
            RETRY_AFTER_SECONDS,
        )
        .into()),
    }
}

pub(crate) fn missing<S: State>(key: &S::Key) -> Problem {
    Problem::not_found(format!(
        "there is no {} `{}`",
        S::DEFINITION.name,
        crate::key::key_text::<S>(key)
    ))
}
