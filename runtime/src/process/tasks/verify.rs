//! A partition replayed, as a standby or a new owner would.

use std::{process::ExitCode, sync::Arc, time::Duration};

use serde::Serialize;

use super::{super::EXIT_INCOMPATIBLE, asked, open, said};
use crate::{
    config::Config,
    layout::{self, Admitted, Refused},
    log::{Log, TopicPartition},
    record::{Ballot, Kind, Offset, Record},
    replica::{ReplayError, Replica},
    server::horizon,
    service::Service,
    state::State,
};

/// How long a position may be missing that a node has: its log is read by another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is replayed.
pub(crate) struct Verify<'v> {
    log: Arc<dyn Log>,
    pub(crate) partition: &'v TopicPartition,
    /// None: to the end.
    until: Option<Offset>,
    admitted: &'v Admitted,
    config: &'v Config,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verified {
    /// The offset after the last record.
    position: Offset,
    /// What the entities add up to there; `/status` shows the same of a node that is as far.
    digest: String,
    keys: usize,
    bytes: i64,
    epoch: u64,
    records: Records,
    /// Keys of which an owner would write the value again, since a stale record may hide it from compaction (rule 6).
    to_repair: usize,
    /// Keys of the last batch of which the plain record is missing, which a new owner would write (rule 5).
    torn: usize,
    /// Answers that are remembered for requests with an id.
    answers: usize,
}

/// How many records there are of each kind.
#[derive(Debug, Default, Serialize)]
struct Records {
    entities: u64,
    batches: u64,
    barriers: u64,
    replies: u64,
    fences: u64,
    /// Those among all of them that do not count.
    stale: u64,
    /// Those among all of them that memgen did not write.
    foreign: u64,
}

impl Records {
    fn add(&mut self, record: &Record, counts: bool) {
        *match record.kind {
            Kind::Data | Kind::FollowUp => &mut self.entities,
            Kind::Batch => &mut self.batches,
            Kind::Barrier => &mut self.barriers,
            Kind::Reply => &mut self.replies,
            Kind::Fence => &mut self.fences,
        } += 1;
        self.stale += u64::from(!counts);
        self.foreign += u64::from(record.ballot == Ballot::FOREIGN);
    }
}

impl Verify<'_> {
    /// Replays it as the log of a state.
    pub(crate) async fn replay<S: State>(self) -> Result<Verified, ReplayError> {
        let readers = self.admitted.readers::<S>(false);
        let mut replica = Replica::<S>::new(
            self.log,
            self.partition.clone(),
            horizon(self.config),
            readers,
        );
        let mut records = Records::default();
        replica
            .catch_up(self.until, |_, record, counts| records.add(record, counts))
            .await?;
        let (summary, fold) = (replica.memory().summary(), replica.fold());
        Ok(Verified {
            position: summary.applied,
            digest: summary.shown_digest(),
            keys: replica.memory().len(),
            bytes: summary.bytes,
            epoch: fold.ballot().epoch,
            records,
            to_repair: fold.dirty().len(),
            torn: fold.torn().len(),
            answers: fold.replies(),
        })
    }
}

/// Replays a partition, and prints what came of it as JSON.
pub(super) async fn run(
    service: &Service,
    partition: &TopicPartition,
    until: Option<Offset>,
    config: &Config,
) -> Result<ExitCode, String> {
    let states = asked(service)?;
    let log = open(service, partition, config).await?;
    let admitted = match layout::look(&*log, &states).await {
        Ok(admitted) => admitted,
        Err(Refused::Incompatible(verdict)) => {
            eprintln!("{}", verdict.problems());
            return Ok(ExitCode::from(EXIT_INCOMPATIBLE));
        }
        Err(Refused::Unreadable(what)) => return Err(what),
        Err(Refused::Log(error)) => return Err(error.to_string()),
    };
    if let Some(last) = until.and_then(|until| until.checked_sub(1)) {
        let reached = tokio::time::timeout(PATIENCE, log.grown(partition, last)).await;
        let end = match reached {
            Ok(grown) => grown.map(|()| None),
            Err(_) => log.end(partition).await.map(Some),
        };
        if let Some(end) = end.map_err(said)? {
            return Err(format!(
                "{partition} ends at position {end}, before {}",
                last + 1
            ));
        }
    }
    let verify = Verify {
        log: Arc::clone(&log),
        partition,
        until,
        admitted: &admitted,
        config,
    };
    let verified = service.verify(verify).await;
    log.close().await;
    match verified {
        Ok(verified) => {
            println!("{}", serde_json::to_string_pretty(&verified).map_err(said)?);
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ ReplayError::Poison { .. }) => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(EXIT_INCOMPATIBLE))
        }
        Err(error) => Err(error.to_string()),
    }
}
