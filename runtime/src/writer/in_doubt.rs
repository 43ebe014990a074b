//! In doubt: transactions that are decided and not finished everywhere, or prepared and not heard of. They are looked after until they are done.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use tokio::time::{Instant, sleep};

use super::{
    Running,
    tx::{Doubt, LOOK_EVERY, Transactions},
};
use crate::{
    ambient::task,
    broken::{Bug, is_broken},
    log::TopicPartition,
    mailbox::{Job, TxJob, WeakMailbox, Why},
    state::State,
    tx::{Attempt, Committed, Decided, Fate, Others, Poll, TxId},
};

/// How long a partition that has prepared waits before it asks home, unless somebody wants what it holds. Home says what is committed by itself, once that is written, and what is given up, but only once.
const PATIENCE: Duration = Duration::from_millis(500);
/// The pauses between tries, doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

impl<S: State> Transactions<S> {
    /// Whether what somebody wants to read can be had sooner.
    pub(super) fn can_be_hastened(&self) -> bool {
        !self.unfinished.is_empty()
            || self.doubts.values().any(|doubt| !doubt.is_wanted)
            || self.runs.values().any(|run| !run.is_wanted)
    }
}

impl<S: State> Running<S> {
    /// Somebody wants to read, or to write, what is prepared: what is committed is written, and homes of the rest are asked.
    pub(super) fn hurry(&mut self) {
        if !self.tx.unfinished.is_empty() {
            self.write_the_rest();
        }
        let now = Instant::now();
        for doubt in self.tx.doubts.values_mut() {
            doubt.ask_at = doubt.ask_at.map(|_| now);
            doubt.is_wanted = true;
        }
        for run in self.tx.runs.values_mut() {
            run.is_wanted = true;
        }
        self.tx.look_at = now;
    }

    /// Lets somebody see to it that what is pending, by what the log has acknowledged, gets done.
    pub(super) fn pursue(&mut self) {
        while self.tx.tasks.try_join_next().is_some() {}
        let pending = self.replica.fold.pending();
        let now = Instant::now();
        if pending.changes() == self.tx.looked && now < self.tx.look_at {
            return;
        }
        self.tx.looked = pending.changes();
        self.tx.look_at = now + LOOK_EVERY;
        if self.tenure.is_none() || !self.nominated {
            return;
        }
        let tx = &mut self.tx;
        let is_decided = |(id, attempt): &(TxId, Attempt)| {
            let decided = pending.decided().get(id);
            decided.is_some_and(|decided| decided.attempt == *attempt)
        };
        tx.finishing.retain(is_decided);
        for (id, decided) in pending.decided() {
            if tx.finishing.insert((*id, decided.attempt)) {
                let (mailbox, others) = (tx.mailbox.clone(), tx.others.clone());
                tx.tasks
                    .spawn(task(finish(mailbox, others, *id, decided.clone())));
            }
        }
        let is_prepared = |(id, attempt): &(TxId, Attempt), _: &mut _| {
            let prepared = pending.prepared().get(id);
            prepared.is_some_and(|prepared| prepared.attempt == *attempt)
        };
        tx.doubts.retain(is_prepared);
        for (id, prepared) in pending.prepared() {
            if let Some(lead) = &prepared.lead {
                if let (Some(run), Some(tenure)) = (tx.runs.get(id), &self.tenure)
                    && run.is_adopted
                    && tx.polled.insert((*id, prepared.attempt))
                {
                    let poll = Poll {
                        id: *id,
                        attempt: prepared.attempt,
                        home: prepared.home.clone(),
                        floor: tenure.ballot.into(),
                    };
                    let (mailbox, others) = (tx.mailbox.clone(), tx.others.clone());
                    let all = lead.others.clone();
                    tx.tasks.spawn(task(ask_all(mailbox, others, all, poll)));
                }
                continue;
            }
            let at = (*id, prepared.attempt);
            let doubt = tx.doubts.entry(at);
            let doubt = doubt.or_insert_with(|| Doubt::until(now + PATIENCE));
            if doubt.ask_at.take_if(|at| *at <= now).is_some() {
                let (mailbox, others) = (tx.mailbox.clone(), tx.others.clone());
                tx.tasks
                    .spawn(task(ask(mailbox, others, prepared.home.clone(), at)));
            }
        }
    }
}

/// Tells the others until all have finished.
async fn finish<S: State>(
    mailbox: WeakMailbox<S>,
    others: Arc<dyn Others>,
    id: TxId,
    decided: Arc<Decided>,
) {
    let (others, attempt) = (&others, decided.attempt);
    let told = decided.participants.iter().map(|to| async move {
        let mut pause = PAUSE_MIN;
        while others.finish(to, id, attempt).await.is_err() {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    });
    join_all(told).await;
    let job = TxJob::Done(id, attempt);
    mailbox.send_patiently(Job::Tx(job)).await;
}

/// Asks all others whether they have prepared what a former owner of home led, until it is known.
async fn ask_all<S: State>(
    mailbox: WeakMailbox<S>,
    others: Arc<dyn Others>,
    all: Vec<TopicPartition>,
    poll: Poll,
) {
    let (id, attempt) = (poll.id, poll.attempt);
    let asked = all.iter().map(|to| {
        let (others, poll) = (&others, &poll);
        async move {
            let mut pause = PAUSE_MIN;
            loop {
                if let Ok(is_prepared) = others.poll(to, poll.clone()).await {
                    return is_prepared;
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    });
    let mut asked: FuturesUnordered<_> = asked.collect();
    let mut refused = is_broken(Bug::GuessAbort);
    while !refused && let Some(is_prepared) = asked.next().await {
        refused = !is_prepared;
    }
    let job = if refused {
        let what = "its home had another owner before it was prepared everywhere";
        TxJob::GiveUp(
            id,
            attempt,
            Committed::Conflict(what.to_owned()),
            Why::Refused,
        )
    } else {
        TxJob::Decide(id, attempt, None)
    };
    mailbox.send_patiently(Job::Tx(job)).await;
}

/// Asks home until it knows.
async fn ask<S: State>(
    mailbox: WeakMailbox<S>,
    others: Arc<dyn Others>,
    home: TopicPartition,
    (id, attempt): (TxId, Attempt),
) {
    let mut pause = PAUSE_MIN;
    let job = loop {
        match others.ask(&home, id, attempt).await {
            Ok(Fate::Committed) => break TxJob::Finish(id, attempt, None),
            Ok(Fate::Aborted) => break TxJob::Abort(id, attempt),
            Ok(Fate::Open) | Err(_) => sleep(pause).await,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    };
    mailbox.send_patiently(Job::Tx(job)).await;
}
