//! In doubt: transactions that are decided and not finished everywhere, or prepared and not heard of. They are looked after until they are done.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{Running, tx::LOOK_EVERY};
use crate::{
    ambient::task,
    log::TopicPartition,
    mailbox::{Job, TxJob, WeakMailbox},
    state::State,
    tx::{Attempt, Decided, Fate, Others, TxId},
};

/// How long a partition that has prepared waits before it asks home.
const PATIENCE: Duration = Duration::from_millis(100);
/// The pauses between tries, doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

impl<S: State> Running<S> {
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
            let at = (*id, prepared.attempt);
            let asked = tx.doubts.entry(at).or_insert(Some(now + PATIENCE));
            if asked.is_some_and(|asked| asked <= now) {
                *asked = None;
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
