//! A request on one key, at a node that has its partition.

use std::sync::Arc;

use axum::{
    Json,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::{
    Call, Halt, Why, missing, patiently,
    prefer::{minimize, prefers_minimal},
};
use crate::{
    cluster::Unanswered,
    conditional::{Conditions, Etag, ReadOutcome},
    config::LogChoice,
    entry::Entry,
    idempotency,
    mailbox::{Command, Job, Refusal},
    memory::Memory,
    partitions::{Copy, Here, just},
    position::{self, ReadOptions},
    problem::Problem,
    state::State,
};

/// A request on one key of a state that this node owns, or has a copy of.
pub struct Keyed<S: State> {
    pub(super) call: Call,
    pub(super) key: S::Key,
    pub(super) at: At<S>,
}

/// Where a request is answered.
pub(super) enum At<S: State> {
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
        let look = |memory: &Memory<S>| {
            memory.with(&self.key, |stored| {
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
            })
        };
        let here = match &self.at {
            At::Owner(here) => here,
            At::Copy(copy) => {
                let age = copy.age_of(&self.key);
                let mut answer = look(&copy.memory);
                if let Some(response) = &mut answer {
                    copy.say_age(age, response.headers_mut());
                }
                return Ok(answer);
            }
        };
        if let Some(position) = options.min_position(&here.partition) {
            here.reach(position, self.call.0.deadline).await?;
        }
        match patiently(
            self.call.0.deadline,
            here.read(options.strict, just(&self.key), look),
        )
        .await
        {
            Ok(answer) => Ok(answer),
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
        let has_id = request.is_some();
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
                    (Unanswered::Unknown, again) if !has_id || again.is_none() => {
                        Problem::from(Refusal::Unknown).into()
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
