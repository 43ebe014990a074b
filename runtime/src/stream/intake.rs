//! Events by HTTP, where a topic is a stream of the embedded log: `POST /_events/{topic}`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::Query,
    http::{Method, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout_at;

use super::{Consume, handed::event_record, input::Placed, outlet::append};
use crate::{
    ambient::now_ms,
    call::{Call, CallFuture},
    log::{Log, TopicPartition},
    mailbox::RETRY_AFTER_SECONDS,
    partitioner::partition,
    problem::Problem,
    record::Record,
    route::Endpoint,
    schemas::Schemas,
};

/// The path, by topic.
const TEMPLATE: &str = "/_events/{topic}";
/// One event for each line.
const LINES: &str = "application/x-ndjson";
/// An event as it is, which is not looked at.
const BYTES: &str = "application/octet-stream";

/// The topics whose events a service takes in, as it feeds them itself.
pub(crate) struct Intake {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) schemas: Arc<Schemas>,
    /// By topic: a function that takes its events in, and how many partitions there are.
    pub(crate) topics: BTreeMap<&'static str, (Arc<dyn Consume>, u32)>,
}

impl Intake {
    /// The record for an event, which may be JSON or is in the format of its topic, and where it goes. If the topic takes schemas, it waits for their registry.
    ///
    /// # Errors
    /// If there is no such topic, or the event is none of it.
    pub(super) async fn place(
        &self,
        topic: &str,
        value: Bytes,
        key: Option<Bytes>,
        is_json: bool,
    ) -> Result<(TopicPartition, Record), Problem> {
        let Some((consume, count)) = self.topics.get(topic) else {
            return Err(Problem::not_found(format!(
                "this service takes in no topic `{topic}`"
            )));
        };
        let wrong = |what: String| Problem::invalid(format!("an event of `{topic}`: {what}"));
        let admitted = consume.admit(&self.schemas, value, is_json).await;
        let value = admitted.map_err(wrong)?;
        let placed = match consume.place(&self.schemas, &value, key.clone()) {
            Ok(placed) => placed,
            // Whoever reads it says what is wrong with it.
            Err(_) if !is_json => None,
            Err(what) => return Err(wrong(what)),
        };
        let placed = placed.unwrap_or_else(|| Placed {
            hashed: key.clone().unwrap_or_else(|| value.clone()),
            key: key.unwrap_or_default(),
            deletes: false,
        });
        let to = TopicPartition::new(topic, partition(&placed.hashed, *count));
        let value = (!placed.deletes).then_some(value);
        Ok((to, event_record(now_ms(), placed.key, value)))
    }
}

/// The route for events, where this service feeds its inputs itself.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new(Method::POST, TEMPLATE, post)]
}

/// What may be said of an event in the query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The record's key.
    key: Option<String>,
}

fn post(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let topic = call.template().value(call.parts().uri.path(), "topic")?;
        let topic = topic.into_owned();
        let said = Query::<Said>::try_from_uri(&call.parts().uri);
        let Query(said) =
            said.map_err(|error| Problem::bad_request(format!("the query: {error}")))?;
        let key = said.key.map(Bytes::from);
        let media_type = call.parts().headers.get(header::CONTENT_TYPE);
        let media_type = media_type
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default();
        let media_type = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let node = call.node().clone();
        let Some(intake) = &node.intake else {
            let what = "events come in by their topics, and not by HTTP, where these are not of the embedded log";
            return Err(Problem::not_found(what).into());
        };
        let body = call.body().await?;
        let events: Vec<Bytes> = match media_type.as_str() {
            LINES => body
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
                .map(|line| body.slice_ref(line))
                .collect(),
            BYTES | "application/json" => vec![body],
            _ => {
                let expected = format!("application/json, {LINES} or {BYTES}");
                return Err(Problem::unsupported_media_type(&expected).into());
            }
        };
        let mut placed: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
        let accepted = events.len();
        for event in events {
            let is_json = media_type != BYTES;
            let place = intake.place(&topic, event, key.clone(), is_json);
            let in_time = timeout_at(call.deadline(), place).await;
            let (to, record) = in_time.map_err(|_| {
                let what = "the schema registry does not answer";
                Problem::unavailable(what, RETRY_AFTER_SECONDS)
            })??;
            placed.entry(to).or_default().push(record);
        }
        for (to, records) in &placed {
            let appended = append(&*intake.log, to, records).await;
            appended.map_err(|what| Problem::unavailable(what, RETRY_AFTER_SECONDS))?;
        }
        Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))).into_response())
    })
}
