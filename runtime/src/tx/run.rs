//! A transaction from its first run to its answer.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Commit, Committed, Never, Part, Tx, TxId, ahead,
    courier::{self, Asked, Keys},
    handle::Parts,
    reading,
};
use crate::{
    ambient::unique,
    call::{Free, Halt, Why, time_is_up},
    cluster::Pause,
    idempotency,
    log::TopicPartition,
    mailbox::{RETRY_AFTER_SECONDS, RequestId},
    node::Node,
    position,
    problem::Problem,
    record::{Offset, ROUTED_ID_PREFIX},
    stream::{Emitted, EventRan, Taking},
};

/// How often the function of a transaction runs at most, because others changed what it had read.
const RUNS_MAX: u32 = 32;
/// One that has lost so often claims its keys before it runs again.
const LOSSES_MAX: u32 = 3;
/// Before the next run it waits for a random time up to this, doubled each time up to the other.
const BACKOFF_MIN: Duration = Duration::from_millis(2);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

/// One run of the function.
pub type Ran<'t> = Pin<Box<dyn Future<Output = Result<Response, Halt>> + Send + 't>>;

/// Where the request is remembered, if its client gave it an id.
pub(crate) type Remembered = Option<(RequestId, TopicPartition)>;

/// What came of a transaction.
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// Whether the log keeps the answer for the request's id.
    pub(crate) kept: bool,
}

/// Runs `function` until what it read is still so when what it wrote is committed.
pub(crate) async fn transact<F>(
    free: &mut Free,
    remembered: Remembered,
    function: &F,
) -> Result<Answer, Halt>
where
    F: for<'t> Fn(&'t mut Free, &'t mut Tx) -> Ran<'t> + Sync,
{
    let (node, deadline) = (free.call().node().clone(), free.call().deadline());
    let mut running = Transacting::new(&node, deadline);
    running.remembered = remembered;
    running.run(free, function).await
}

/// Runs `function` until what it read is still so when what it wrote is committed, together with how far the input of an event was taken in, at the `home` of that input. If the event was taken in
/// before, nothing happens. Nor does anything, if the answer is an error.
pub(crate) async fn take_in<F>(
    node: &Arc<Node>,
    (home, taking): (&TopicPartition, &Taking),
    deadline: Instant,
    function: &F,
) -> Result<Response, Problem>
where
    F: for<'t> Fn(&'t mut Tx) -> EventRan<'t> + Send + Sync,
{
    let mut running = Transacting::new(node, deadline);
    running.taking = Some((home.clone(), taking.clone()));
    let ran = running
        .run(&mut (), &|(), tx| {
            let ran = function(tx);
            Box::pin(async move { Ok(ran.await) })
        })
        .await;
    match ran {
        Ok(answer) => Ok(answer.response),
        Err(Halt(Why::Answered(response))) => Ok(*response),
        Err(Halt(Why::Moved(_))) => Err(Problem::internal("an event is no request")),
    }
}

/// A time that chance chooses.
fn chance(most: Duration) -> Duration {
    let random = u32::try_from(unique().as_u128() & 0xffff).unwrap_or_default();
    most * random / 0xffff
}

/// What a run comes to.
struct Does {
    /// Whether it is to happen.
    writes: bool,
    emitted: Vec<Emitted>,
    parts: Parts,
}

struct Transacting<'a> {
    node: &'a Arc<Node>,
    deadline: Instant,
    id: TxId,
    /// The same for all runs: attempts of different homes can't be compared.
    home: Option<TopicPartition>,
    remembered: Remembered,
    /// The event that it is the effect of, and the home of its input.
    taking: Option<(TopicPartition, Taking)>,
    /// Whether home was asked to commit a run, and it is not known whether it was.
    unknown: bool,
    /// What others are to leave to it.
    claimed: Keys,
}

impl Drop for Transacting<'_> {
    fn drop(&mut self) {
        if !self.claimed.is_empty() {
            courier::release(self.node, self.id, std::mem::take(&mut self.claimed));
        }
    }
}

impl<'a> Transacting<'a> {
    fn new(node: &'a Arc<Node>, deadline: Instant) -> Self {
        Self {
            node,
            deadline,
            id: TxId::new(),
            home: None,
            remembered: None,
            taking: None,
            unknown: false,
            claimed: Keys::new(),
        }
    }

    /// `of` is what the function is called for, the same in each run.
    async fn run<O: Send, F>(&mut self, of: &mut O, function: &F) -> Result<Answer, Halt>
    where
        F: for<'t> Fn(&'t mut O, &'t mut Tx) -> Ran<'t> + Sync,
    {
        let (node, deadline) = (self.node, self.deadline);
        let mut backoff = BACKOFF_MIN;
        let (mut reads, mut keys) = (Vec::new(), Keys::new());
        for run in 0..RUNS_MAX {
            if run >= LOSSES_MAX {
                self.claim(run, std::mem::take(&mut keys)).await;
            }
            let ahead = ahead::read(node, &reads, deadline).await;
            let mut tx = Tx::new(node.clone(), deadline, ahead);
            // All else that is waited for knows the deadline.
            let ran = timeout_at(deadline, function(of, &mut tx)).await;
            let response = ran.map_err(|_| time_is_up())??;
            let writes = response.status().as_u16() < 400;
            reads = tx.reads();
            if run + 1 >= LOSSES_MAX {
                keys = tx.keys();
            }
            let does = Does {
                writes,
                emitted: tx.take_emitted(writes)?,
                parts: tx.into_parts(writes),
            };
            if let Some(answer) = self.end(run, does, response).await? {
                return Ok(answer);
            }
            sleep(chance(backoff)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            if Instant::now() >= deadline {
                break;
            }
        }
        let busy = "others change what this request reads and writes, again and again";
        let response = Problem::unavailable(busy, RETRY_AFTER_SECONDS).into_response();
        Ok(self.settle(response).await?)
    }

    /// Has lost as often as it has run: the next run shall be the last.
    async fn claim(&mut self, losses: u32, keys: Keys) {
        courier::claim(self.node, self.id, losses, &keys, self.deadline).await;
        self.claimed.extend(keys);
    }

    /// Commits a run, or makes sure that what it has seen was so at one time. None if it has to run again.
    async fn end(
        &mut self,
        run: u32,
        does: Does,
        response: Response,
    ) -> Result<Option<Answer>, Problem> {
        let Does {
            writes,
            emitted,
            parts,
        } = does;
        let taking = self.taking.as_ref().filter(|_| writes);
        let first = parts.iter().find(|(_, part)| !part.writes.is_empty());
        let first = first.map(|(at, _)| at.clone());
        let changes = first.is_some() || taking.is_some() || !emitted.is_empty();
        if !changes {
            if !reading::are_still(self.node, &parts, self.deadline).await? {
                return Ok(None);
            }
            return self.settle(response).await.map(Some);
        }
        let remembered = self.remembered.as_ref().map(|(_, home)| home.clone());
        // One that only emits has a home all the same.
        let any = || {
            parts
                .keys()
                .next()
                .cloned()
                .or_else(|| self.node.any_home())
        };
        let home = self.home.clone();
        let home = home.or_else(|| taking.map(|(home, _)| home.clone()));
        let home = home.or(remembered).or(first).or_else(any);
        let home =
            home.ok_or_else(|| Problem::internal("a service without states emits nothing"))?;
        self.home = Some(home.clone());
        let (response, reply) = idempotency::encode(response);
        if response.status().is_server_error() {
            // It is no reply that can be kept, so nothing is to have happened either.
            return self.settle(response).await.map(Some);
        }
        let mut parts = parts;
        let request = self.request_if_needed(&home);
        // Without an id nobody can ask for it again.
        let reply = request.as_ref().map_or_else(Bytes::new, |_| reply);
        let commit = Arc::new(Commit {
            id: self.id,
            run,
            request,
            reply: reply.clone(),
            own: parts.remove(&home).map_or_else(Part::default, |part| *part),
            others: parts.into_iter().map(|(at, part)| (at, *part)).collect(),
            emitted,
            taking: taking.map(|(_, taking)| taking.clone()),
        });
        if !commit.others.is_empty() {
            let others = commit.others.iter().map(|(at, _)| at);
            for at in others.chain([&home]) {
                self.refuse_if_lossy(at)?;
            }
        }
        match self.ask(&home, commit).await? {
            Committed::Yes(offset, kept) => {
                let response = if kept == reply {
                    response
                } else {
                    idempotency::decode(&kept)
                };
                Ok(Some(self.answer(&home, offset, response)))
            }
            Committed::Conflict(_) => Ok(None),
            Committed::Taken => Ok(Some(Answer {
                response: StatusCode::NO_CONTENT.into_response(),
                kept: false,
            })),
            Committed::Never(never) => Err(refused(never)),
        }
    }

    /// Of what several partitions wrote together, none may be lost alone.
    fn refuse_if_lossy(&self, at: &TopicPartition) -> Result<(), Problem> {
        let places = self.node.places(&at.topic).map_err(Problem::internal)?;
        if !places.ack(&self.node.config).may_lose_its_tail() {
            return Ok(());
        }
        let topic = &at.topic;
        Err(Problem::internal(format!(
            "a transaction over several partitions can't rest on `{topic}`, whose level is `leader`: part of it might be lost. Set `--ack {topic}=all`"
        )))
    }

    fn answer(&self, home: &TopicPartition, offset: Option<Offset>, response: Response) -> Answer {
        let mut response = response;
        if let Some(offset) = offset {
            let value = position::header_value(home, offset);
            response.headers_mut().insert(position::POSITION, value);
        }
        Answer {
            response,
            kept: self.remembered.is_some(),
        }
    }

    /// Nothing is to happen any more: not even what was asked for before, if nobody knows whether it was.
    async fn settle(&mut self, response: Response) -> Result<Answer, Problem> {
        match self.home.clone().filter(|_| self.unknown) {
            None => Ok(Answer {
                response,
                kept: false,
            }),
            Some(home) => Box::pin(self.settle_at(home, response)).await,
        }
    }

    /// Lets home say what became of what it was asked to commit, or that nothing ever will.
    async fn settle_at(
        &mut self,
        home: TopicPartition,
        response: Response,
    ) -> Result<Answer, Problem> {
        let (response, reply) = idempotency::encode(response);
        let commit = Arc::new(Commit {
            id: self.id,
            run: RUNS_MAX,
            request: Some(self.request()),
            reply: reply.clone(),
            own: Part::default(),
            others: Vec::new(),
            emitted: Vec::new(),
            taking: None,
        });
        match self.ask(&home, commit).await? {
            Committed::Yes(_, kept) if kept == reply => Ok(self.answer(&home, None, response)),
            Committed::Yes(offset, kept) => {
                Ok(self.answer(&home, offset, idempotency::decode(&kept)))
            }
            Committed::Conflict(what) => Err(Problem::unavailable(what, RETRY_AFTER_SECONDS)),
            Committed::Taken => Ok(self.answer(&home, None, response)),
            Committed::Never(never) => Err(refused(never)),
        }
    }

    /// The id by which it happens once. The writer in this process says what became of it, as of a command; over a connection that may break, only the log can tell.
    fn request_if_needed(&self, home: &TopicPartition) -> Option<RequestId> {
        let places = self.node.places(&home.topic).ok();
        let is_here = places.is_some_and(|places| places.is_here(home.partition));
        let needed = self.remembered.is_some() || self.unknown || !is_here;
        needed.then(|| self.request())
    }

    fn request(&self) -> RequestId {
        match &self.remembered {
            Some((request, _)) => request.clone(),
            None => RequestId {
                id: [&[ROUTED_ID_PREFIX], self.id.to_string().as_bytes()]
                    .concat()
                    .into(),
                fingerprint: 0,
            },
        }
    }

    /// Asks home until it says what became of it.
    async fn ask(
        &mut self,
        home: &TopicPartition,
        commit: Arc<Commit>,
    ) -> Result<Committed, Problem> {
        let nobody_knows = || {
            Problem::unavailable(
                "nobody said in time what became of the transaction; it may still be committed. \
                 Repeat it with the same `Idempotency-Key` to be sure that it happens once",
                RETRY_AFTER_SECONDS,
            )
        };
        let mut pause = Pause::new(self.deadline);
        loop {
            match courier::commit(self.node, home, &commit, self.deadline).await {
                Asked::Answered(outcome) => return Ok(outcome),
                Asked::Refused(problem) => return Err(problem),
                Asked::Undone => {}
                Asked::Unknown if commit.request.is_none() => return Err(nobody_knows()),
                Asked::Unknown => self.unknown = true,
            }
            if let Err(problem) = pause.wait(&self.node.cluster).await {
                return Err(if self.unknown {
                    nobody_knows()
                } else {
                    problem
                });
            }
        }
    }
}

fn refused(never: Never) -> Problem {
    match never {
        Never::Differs => idempotency::differs(),
        Never::TooLong(bytes) => Problem::content_too_large(bytes as u64),
        Never::Wrong(what) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what),
        Never::Full(what) => Problem::insufficient_storage(what),
    }
}
