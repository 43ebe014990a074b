//! What a service takes in: its topics are found or made, fed where the process does that itself, and read.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;
use tracing::error;

use super::{Shared, StartError};
use crate::{
    ambient::{spawn, task},
    config::{Config, LogChoice},
    log::{Log, TopicPartition},
    node::Node,
    schemas::{MISSING, Schemas},
    service::Service,
    stream::{self, Consume, Gauge, Inputs, Intake, Reading},
};

impl Service {
    /// How many functions take in each topic of events.
    pub(super) fn stream_readers(&self) -> BTreeMap<String, usize> {
        let mut readers = BTreeMap::new();
        for input in self.inputs() {
            let topic = input.declared().topic.to_owned();
            *readers.entry(topic).or_default() += 1;
        }
        readers
    }

    /// The schemas by which events are read whose format is Avro.
    pub(super) fn schemas(&self, config: &Config) -> Result<Arc<Schemas>, StartError> {
        let schemas = Schemas::open(config).map_err(StartError::Setting)?;
        match self.inputs().find(|input| input.has_schemas()) {
            Some(input) if !schemas.are_there() => Err(StartError::Setting(format!(
                "`{}` takes in events of Avro. {MISSING}",
                input.declared().name
            ))),
            _ => Ok(schemas),
        }
    }

    /// Finds the topics of events, or makes them: with as many partitions as the state has that keeps how far each was taken in.
    pub(super) async fn open_inputs(
        &self,
        log: &dyn Log,
    ) -> Result<Vec<(Arc<dyn Consume>, u32)>, StartError> {
        let first = self.parts.iter().find_map(|part| part.definition());
        let mut inputs = Vec::new();
        for input in self.inputs() {
            let partitions = input.state().or(first).map_or(1, |home| home.partitions);
            let opened = log.open_stream(input.declared().topic, partitions);
            inputs.push((input, opened.await?));
        }
        Ok(inputs)
    }
}

/// The topics that a process feeds itself: all, where the log is embedded.
pub(super) fn intake(
    config: &Config,
    log: &Arc<dyn Log>,
    schemas: &Arc<Schemas>,
    inputs: &[(Arc<dyn Consume>, u32)],
) -> Result<Option<Arc<Intake>>, StartError> {
    let feeds = config.log == LogChoice::Embedded && !inputs.is_empty();
    if let Some(path) = &config.replay {
        if !feeds {
            return Err(StartError::Setting(
                "`--replay` is for a service that takes in topics of the embedded log; elsewhere their own tools write to them"
                    .to_owned(),
            ));
        }
        if let Err(error) = std::fs::File::open(path) {
            let path = path.display();
            return Err(StartError::Setting(format!("`--replay` {path}: {error}")));
        }
    }
    let topics = inputs
        .iter()
        .map(|(input, count)| (input.declared().topic, (input.clone(), *count)));
    Ok(feeds.then(|| {
        Arc::new(Intake {
            log: log.clone(),
            schemas: schemas.clone(),
            topics: topics.collect(),
        })
    }))
}

/// Feeds the events of a file, if the settings name one.
pub(super) fn replay_file(shared: &Shared) {
    let (Some(intake), Some(path)) = (&shared.intake, &shared.config.replay) else {
        return;
    };
    let (intake, path) = (intake.clone(), path.clone());
    spawn(async move {
        if let Err(error) = stream::replay(&intake, &path).await {
            error!("{error}");
        }
    });
}

/// Starts what reads inputs, each partition of them whenever its home is at this node.
pub(super) fn start_inputs(shared: &Shared, node: &Arc<Node>, tasks: &mut JoinSet<()>) -> Inputs {
    let mut gauges = Inputs::new();
    for (input, count) in &shared.inputs {
        let declared = input.declared();
        for number in 0..*count {
            let partition = TopicPartition::new(declared.topic, number);
            let metrics = node.metrics.input(&partition, declared.name);
            let gauge = Arc::new(Gauge::new(partition.clone(), declared.name, metrics));
            gauges.push(gauge.clone());
            tasks.spawn(task(input.consume(Reading {
                node: node.clone(),
                log: shared.log.clone(),
                partition,
                gauge,
                stop: shared.told_to_leave.clone(),
            })));
        }
    }
    gauges
}
