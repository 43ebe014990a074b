use std::{collections::BTreeMap, ops::Bound};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use memgen::prelude::*;

use super::*;
use crate::{
    external::Values,
    metrics::Metrics,
    position,
    record::{Ballot, Kind, Record},
    schemas::Schemas,
    stream::Reached,
};

/// What others say.
#[external(topic = "rates", path = "/rate", crud(get, list))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: u32,
}

fn view(partitions: u32) -> View<Rate> {
    let metrics = Metrics::new();
    let gauge = |number| {
        let partition = TopicPartition::new("rates", number);
        let metrics = metrics.input(&partition, "Rate");
        Arc::new(Gauge::new(partition, "Rate", true, metrics))
    };
    View::new((0..partitions).map(gauge).collect())
}

fn record(key: &'static str, value: Option<&'static str>) -> Record {
    Record {
        place: None,
        ballot: Ballot::FOREIGN,
        kind: Kind::Data,
        timestamp_ms: 0,
        schema: 0,
        answered: None,
        key: Bytes::from_static(key.as_bytes()),
        value: value.map(|value| Bytes::from_static(value.as_bytes())),
    }
}

fn fold(view: &View<Rate>, partition: u32, key: &'static str, value: Option<&'static str>) {
    let record = record(key, value);
    let change = Values::json().change(&Schemas::default(), &record);
    let bytes = value.map_or(0, str::len);
    view.fold(partition, [(change, bytes)]);
}

fn all(view: &View<Rate>) -> BTreeMap<String, u32> {
    let all: (Bound<String>, Bound<String>) = (Bound::Unbounded, Bound::Unbounded);
    let values = view.range(all);
    values
        .map(|(key, value)| {
            assert_eq!(key, value.currency);
            (key, value.per_euro)
        })
        .collect()
}

fn rates(rates: &[(&str, u32)]) -> BTreeMap<String, u32> {
    let rates = rates.iter();
    rates
        .map(|(key, rate)| ((*key).to_owned(), *rate))
        .collect()
}

#[test]
fn the_last_record_of_a_key_is_its_value() {
    let view = view(2);
    for (partition, key, value) in [
        (0, "DKK", Some(r#"{"per_euro": 7}"#)),
        (1, "HUF", Some(r#"{"currency": "HUF", "per_euro": 400}"#)),
        (1, "HUF", Some(r#"{"per_euro": 39}"#)),
        (0, "XXX", Some(r#"{"per_euro": 1}"#)),
        (0, "XXX", None),
        (0, "YYY", None),
        (0, "ZZZ", Some(r#"{"per_euro": 1}"#)),
        // Of none of these anybody knows what it is.
        (0, "ZZZ", Some("one")),
        (0, "AAA", Some(r#"{"currency": "BBB", "per_euro": 1}"#)),
        (0, "", Some(r#"{"per_euro": 1}"#)),
    ] {
        fold(&view, partition, key, value);
    }
    assert_eq!(all(&view), rates(&[("DKK", 7), ("HUF", 39)]));
    assert_eq!(view.size(), (2, 15 + 16), "of what is there, and no more");
    let (value, gauge) = view.find(&"HUF".to_owned()).unwrap();
    assert_eq!((value.per_euro, gauge.partition.partition), (39, 1));
    assert!(view.find(&"XXX".to_owned()).is_none());
}

#[test]
fn a_partition_that_is_read_again_loses_what_it_has_no_more() {
    let view = view(2);
    for key in ["A", "B", "C"] {
        fold(&view, 0, key, Some(r#"{"per_euro": 1}"#));
    }
    fold(&view, 1, "D", Some(r#"{"per_euro": 1}"#));
    view.caught_up(0);
    view.begin_again(0);
    fold(&view, 0, "B", Some(r#"{"per_euro": 2}"#));
    let before = rates(&[("A", 1), ("B", 2), ("C", 1), ("D", 1)]);
    assert_eq!(all(&view), before, "until it has caught up");
    view.caught_up(1);
    assert_eq!(all(&view), before, "that is another partition");
    view.caught_up(0);
    assert_eq!(all(&view), rates(&[("B", 2), ("D", 1)]));
    assert_eq!(view.size(), (2, 30));
    fold(&view, 0, "E", Some(r#"{"per_euro": 3}"#));
    view.caught_up(0);
    assert_eq!(all(&view).len(), 3, "only once");
}

#[tokio::test(start_paused = true)]
async fn reads_wait_until_it_is_as_new_as_they_want_it() {
    let view = view(2);
    let headers = |name: HeaderName, value| {
        let value = HeaderValue::from_static(value);
        HeaderMap::from_iter([(name, value)])
    };
    let satisfied = async |headers: &HeaderMap| {
        let options = ReadOptions::parse(headers).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        view.satisfies(&options, deadline).await
    };
    let reach = |number: usize, next| {
        view.gauges[number].reach(&Reached {
            next,
            ..Reached::default()
        });
        view.gauges[number].at_end(Instant::now());
    };
    reach(0, 3);
    let problem = satisfied(&HeaderMap::new()).await.unwrap_err();
    assert!(problem.detail().contains("rates/1 is still being read"));
    assert!(!view.is_filled());
    reach(1, 3);
    assert!(view.is_filled());
    satisfied(&HeaderMap::new()).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(view.age() >= Some(Duration::from_secs(60)));
    satisfied(&HeaderMap::new()).await.unwrap();
    for (name, value, said) in [
        (position::READ, "strict", "strict"),
        (position::MAX_STALENESS, "1000", "Memgen-Max-Staleness-Ms"),
    ] {
        tokio::time::advance(Duration::from_secs(60)).await;
        let headers = headers(name, value);
        let problem = satisfied(&headers).await.unwrap_err();
        assert!(problem.detail().contains(said), "{problem}");
        let waiting = satisfied(&headers);
        let reached = async {
            sleep(Duration::from_secs(1)).await;
            reach(0, 3);
            reach(1, 3);
        };
        let (waited, ()) = tokio::join!(waiting, reached);
        waited.unwrap();
    }
    satisfied(&headers(position::MIN_POSITION, "rates/1@2"))
        .await
        .unwrap();
    satisfied(&headers(position::MIN_POSITION, "others/1@9"))
        .await
        .unwrap();
    let problem = satisfied(&headers(position::MIN_POSITION, "rates/1@3")).await;
    let problem = problem.unwrap_err();
    assert!(
        problem.detail().contains("Memgen-Min-Position"),
        "{problem}"
    );
}
