//! Events that are counted, by the service `counts`: each changes one key, mostly of another partition than it came in by.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{Topics, take_in};
use crate::{
    chaos::{Report, storm::Storm},
    cluster::Servers,
};

/// Names that events are of.
const NAMES: usize = 1000;
/// Names that are asked for at once.
const ASKED_AT_ONCE: usize = 16;

/// So many events by a stranger, while every so often a node is killed, or two. Each is counted once, and a replay of all logs from their start comes to the same positions and counts.
pub async fn counts(servers: &Servers, count: usize, every: Duration) -> Report {
    const PART: &str = "counts, kill -9";
    let mut storm = Storm::start(servers, "counts").await;
    let topics = Topics::of(servers, &storm);
    let events = (0..count).map(event);
    take_in(&mut storm, PART, &topics, "hits", events, every).await;
    let mut wrong = storm.wrong_counts(count).await;
    wrong.extend(storm.replay_all().await);
    let replayed = storm.wrong_counts(count).await.into_iter();
    wrong.extend(replayed.map(|what| format!("after a replay: {what}")));
    storm.end(PART, wrong).await
}

fn name(number: usize) -> String {
    format!("name-{}", number % NAMES)
}

fn event(number: usize) -> (String, Value) {
    let name = name(number);
    let event = json!({"name": name, "number": number});
    (name, event)
}

impl Storm {
    /// What was not counted once.
    async fn wrong_counts(&mut self, count: usize) -> Vec<String> {
        let client = self.api.client(0).await;
        let look = async |first: usize| {
            let numbers = (first..count).step_by(NAMES);
            let (events, sum) = (numbers.len(), numbers.sum::<usize>());
            let expected = json!({"name": name(first), "events": events, "sum": sum});
            let found = client.get(&format!("/counts/{}", name(first))).await.json();
            (found != expected).then(|| format!("{found} is there, not {expected}"))
        };
        let looks = stream::iter(0..NAMES.min(count)).map(look);
        let wrong = looks.buffer_unordered(ASKED_AT_ONCE);
        wrong.filter_map(async |wrong| wrong).collect().await
    }
}
