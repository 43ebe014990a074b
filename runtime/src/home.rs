//! The home of a request that runs outside of a writer: the partition that remembers its reply.

use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::{
    ambient::spawn,
    cluster::Peer,
    log::TopicPartition,
    mailbox::{Answer, Job, Mailbox, Recall, RequestId},
    partitions::{Owner, Partitions},
    position,
    problem::Problem,
    state::State,
};

/// The partitions of some state, without its type.
pub(crate) trait Home: Send + Sync {
    /// Where the replies of requests with this id are kept.
    fn find<'a>(
        &'a self,
        id: &'a [u8],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<HomePlace, Problem>>;
}

/// Where a home is.
pub(crate) enum HomePlace {
    Here(Box<dyn HomeHere>),
    Peer(Peer),
}

/// A home that this node owns.
pub(crate) trait HomeHere: Send + Sync {
    fn recall(&self, request: RequestId) -> BoxFuture<'_, Result<Recall, Problem>>;
    fn remember(&self, request: RequestId, reply: Bytes) -> BoxFuture<'_, Result<Answer, Problem>>;
    fn forget(&self, request: RequestId);
    fn partition(&self) -> &TopicPartition;
}

impl<S: State> Home for Partitions<S> {
    fn find<'a>(
        &'a self,
        id: &'a [u8],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<HomePlace, Problem>> {
        Box::pin(async move {
            Ok(match self.locate_bytes(id).owner(deadline).await? {
                Owner::Here(here) => HomePlace::Here(Box::new(Kept {
                    partition: here.partition.clone(),
                    mailbox: here.mailbox.clone(),
                })),
                Owner::Peer(peer) => HomePlace::Peer(peer),
            })
        })
    }
}

struct Kept<S: State> {
    partition: TopicPartition,
    mailbox: Mailbox<S>,
}

impl<S: State> HomeHere for Kept<S> {
    fn recall(&self, request: RequestId) -> BoxFuture<'_, Result<Recall, Problem>> {
        Box::pin(async { Ok(self.mailbox.ask(|slot| Job::Recall(request, slot)).await?) })
    }

    fn remember(&self, request: RequestId, reply: Bytes) -> BoxFuture<'_, Result<Answer, Problem>> {
        Box::pin(async {
            Ok(self
                .mailbox
                .ask(|slot| Job::Remember(request, reply, slot))
                .await?)
        })
    }

    fn forget(&self, request: RequestId) {
        // It waits for room in the queue: a lost one would leave the id running for ever.
        let mailbox = self.mailbox.clone();
        spawn(async move { mailbox.send_patiently(Job::Forget(request)).await });
    }

    fn partition(&self) -> &TopicPartition {
        &self.partition
    }
}

/// Forgets a running request unless its reply was remembered, also when the client goes away in the middle.
pub(crate) struct RunningGuard {
    pub(crate) home: Box<dyn HomeHere>,
    pub(crate) request: Option<RequestId>,
}

impl RunningGuard {
    /// Remembers the reply, and gives it back; only then it may be sent. If the request had an outcome before, that is its reply.
    pub(crate) async fn finish(mut self, response: Response) -> Result<Response, Problem> {
        let Some(request) = self.request.clone() else {
            return Ok(response);
        };
        // A fault or an overload is no outcome: the request may be tried again.
        if response.status().is_server_error() {
            return Ok(response);
        }
        let (_, reply) = crate::idempotency::encode(response);
        let answer = self.home.remember(request, reply).await?;
        self.request = None;
        let mut response = answer.response;
        if let Some(offset) = answer.offset {
            let value = position::header_value(self.home.partition(), offset);
            response.headers_mut().insert(position::POSITION, value);
        }
        Ok(response)
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            self.home.forget(request);
        }
    }
}
