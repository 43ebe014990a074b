//! What a service takes in: its topics are found or made, fed where the process does that itself, and read.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::error;

use super::{Shared, StartError};
use crate::{
    ambient::{spawn, task},
    config::{Config, LogChoice},
    external::Externals,
    log::{Log, Streams, TopicPartition},
    metrics::Metrics,
    node::Node,
    schemas::{MISSING, Schemas},
    service::Service,
    stream::{self, Consume, Gauge, Inputs, Intake, Reading},
};

impl Service {
    /// Who reads which topics of others.
    pub(super) fn streams(&self, config: &Config) -> Streams {
        let mut streams = Streams::default();
        for input in self.inputs() {
            let topic = input.declared().topic.to_owned();
            let mut readers = 1;
            if input.is_external() {
                streams.tables.insert(topic.clone());
                // Each node of this process.
                readers = usize::from(config.nodes);
            }
            *streams.readers.entry(topic).or_default() += readers;
        }
        streams
    }

    /// The schemas by which events are read whose format is Avro.
    pub(super) fn schemas(&self, config: &Config) -> Result<Arc<Schemas>, StartError> {
        let schemas = Schemas::open(config).map_err(StartError::Setting)?;
        match self.inputs().find(|input| input.has_schemas()) {
            Some(input) if !schemas.are_there() => Err(StartError::Setting(format!(
                "`{}` is of Avro. {MISSING}",
                input.declared().name
            ))),
            _ => Ok(schemas),
        }
    }

    /// Finds the topics of events, or makes them: with as many partitions as the state has that keeps how far each was taken in. Those of external states are what others made them.
    pub(super) async fn open_inputs(
        &self,
        log: &dyn Log,
    ) -> Result<Vec<(Arc<dyn Consume>, u32)>, StartError> {
        let first = self.parts.iter().find_map(|part| part.definition());
        let mut inputs = Vec::new();
        for input in self.inputs() {
            let topic = input.declared().topic;
            if input.is_external() {
                let opened = log.open_table(topic).await?;
                inputs.push((input, opened));
                continue;
            }
            let partitions = input.state().or(first).map_or(1, |home| home.partitions);
            let opened = log.open_stream(topic, partitions);
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
    // Of a topic that both read, the function knows how it is partitioned.
    let (externals, functions): (Vec<_>, Vec<_>) =
        inputs.iter().partition(|(input, _)| input.is_external());
    let topics = externals
        .into_iter()
        .chain(functions)
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

/// What will be seen of each partition of each input at a node.
pub(super) fn gauges(shared: &Shared, metrics: &Metrics) -> Vec<Inputs> {
    let of_input = |(input, count): &(Arc<dyn Consume>, u32)| {
        let declared = input.declared();
        let gauge = |number| {
            let partition = TopicPartition::new(declared.topic, number);
            let metrics = metrics.input(&partition, declared.name);
            let is_external = input.is_external();
            Arc::new(Gauge::new(partition, declared.name, is_external, metrics))
        };
        (0..*count).map(gauge).collect()
    };
    shared.inputs.iter().map(of_input).collect()
}

/// What a node has of external states: nothing yet.
pub(super) fn externals(shared: &Shared, gauges: &[Inputs]) -> Arc<Externals> {
    let views = shared.inputs.iter().zip(gauges);
    let views = views.filter_map(|((input, _), gauges)| input.view(gauges));
    Arc::new(Externals::new(views))
}

/// Starts what reads inputs, each partition of them whenever its home is at this node.
pub(super) fn start_inputs(
    shared: &Shared,
    node: &Arc<Node>,
    gauges: &[Inputs],
    tasks: &mut JoinSet<()>,
) {
    for ((input, _), gauges) in shared.inputs.iter().zip(gauges) {
        let name = input.declared().name;
        for gauge in gauges {
            tasks.spawn(task(input.consume(Reading {
                node: node.clone(),
                log: shared.log.clone(),
                partition: gauge.partition.clone(),
                // A function has one reader at a time, wherever that is.
                reader: if input.is_external() {
                    format!("{name} at {}", node.cluster.me)
                } else {
                    name.to_owned()
                },
                gauge: gauge.clone(),
                stop: shared.told_to_leave.clone(),
            })));
        }
    }
}
