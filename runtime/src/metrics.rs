//! What `/metrics` shows, and the handles by which the rest counts.
//!
//! Names and labels are looked up once, when a route or a partition comes to be. What happens per request is a
//! few atomic additions on handles that are already there.

mod input;
mod partition;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::http::{Method, StatusCode};
pub use prometheus::Histogram;
use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

pub(crate) use self::input::InputMetrics;
pub use self::partition::PartitionMetrics;
use self::{input::InputFamilies, partition::Families};
use crate::{budget::resident_bytes, log::TopicPartition};

/// The media type of [`Metrics::render`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// From a read out of memory to a request that hits its timeout.
const SECONDS: &[f64] = &[
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// All metrics of one node. Clones share them.
///
/// ```
/// use std::time::Duration;
/// use axum::http::{Method, StatusCode};
/// use memgen::metrics::Metrics;
///
/// let metrics = Metrics::new();
/// let route = metrics.route(&Method::GET, "/vertex/{id}");
/// route.observe(StatusCode::OK, Duration::from_micros(30));
/// let text = metrics.render();
/// assert!(text.contains(r#"memgen_http_requests_total{method="GET",route="/vertex/{id}",status="200"} 1"#));
/// ```
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    partitions: Families,
    inputs: InputFamilies,
    build: IntGaugeVec,
    resident_bytes: IntGauge,
    open_files: IntGauge,
    /// Bytes that the log holds on disk.
    pub log_size_bytes: IntGauge,
    /// Connections that are open now.
    pub connections: IntGauge,
    /// 1 while anything of the log answers.
    pub log_reached: IntGauge,
    /// 1 while this node is in touch with the coordinator.
    pub coordinator_connected: IntGauge,
    /// Processes of other nodes that this one has proved to be gone.
    pub proofs_of_death: IntGauge,
    /// The longest spell without a working owner that loses nothing, in seconds; 0 if there is none.
    pub compaction_lag: IntGauge,
    /// What the process may take of the machine's memory, in bytes.
    pub memory_max: IntGauge,
    /// 1 while writes that need more memory are refused.
    pub memory_full: IntGauge,
    /// Connections that were closed at once, since there were too many.
    pub connections_refused: IntCounter,
    /// Feeds that are open now.
    pub feeds: IntGauge,
    /// Feeds that began anew, since what followed was not known any more.
    pub feed_resets: IntCounter,
    /// Connections to the peer address that were not those of a node.
    pub peer_connections_refused: IntCounter,
}

impl Metrics {
    /// A set of its own, with everything at zero.
    ///
    /// # Panics
    /// Never: the names are written here, are legal, and differ.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            requests: counters(
                &registry,
                "memgen_http_requests_total",
                "Requests answered.",
                &["method", "route", "status"],
            ),
            request_seconds: histograms(
                &registry,
                "memgen_http_request_seconds",
                "Time from the request's head to the answer's head.",
                &["method", "route"],
                SECONDS,
            ),
            partitions: Families::new(&registry),
            inputs: InputFamilies::new(&registry),
            build: gauges(
                &registry,
                "memgen_build_info",
                "1, with the versions as labels.",
                &["service", "version", "memgen"],
            ),
            resident_bytes: gauge(
                &registry,
                "process_resident_memory_bytes",
                "Resident memory of the process.",
            ),
            open_files: gauge(
                &registry,
                "process_open_fds",
                "Open files of the process, connections among them.",
            ),
            log_size_bytes: gauge(
                &registry,
                "memgen_log_size_bytes",
                "Bytes that the log holds on disk.",
            ),
            log_reached: gauge(
                &registry,
                "memgen_log_reached",
                "1 while anything of the log answers this node.",
            ),
            coordinator_connected: gauge(
                &registry,
                "memgen_coordinator_connected",
                "1 while this node is in touch with the coordinator.",
            ),
            proofs_of_death: gauge(
                &registry,
                "memgen_proofs_of_death",
                "Processes of other nodes that this one has proved to be gone.",
            ),
            compaction_lag: gauge(
                &registry,
                "memgen_compaction_lag_seconds",
                "The longest spell without a working owner that loses nothing; 0 if any may be as long as it likes.",
            ),
            memory_max: gauge(
                &registry,
                "memgen_memory_max_bytes",
                "What the process may take of the machine's memory.",
            ),
            memory_full: gauge(
                &registry,
                "memgen_memory_full",
                "1 while writes that need more memory are refused.",
            ),
            connections: gauge(
                &registry,
                "memgen_connections",
                "Connections that are open.",
            ),
            connections_refused: counter(
                &registry,
                "memgen_connections_refused_total",
                "Connections closed at once, since there were too many.",
            ),
            peer_connections_refused: counter(
                &registry,
                "memgen_peer_connections_refused_total",
                "Connections to the peer address that were refused: not those of a node.",
            ),
            feeds: gauge(&registry, "memgen_feeds", "Change feeds that are open."),
            feed_resets: counter(
                &registry,
                "memgen_feed_resets_total",
                "Change feeds that began anew, since what followed was not known any more.",
            ),
            registry,
        };
        // Until it is known better.
        metrics.log_reached.set(1);
        metrics
    }

    /// Sets what `memgen_build_info` says.
    pub fn set_build(&self, service: &str, version: &str) {
        self.build
            .with_label_values(&[service, version, env!("CARGO_PKG_VERSION")])
            .set(1);
    }

    /// The handle of one route. `path` is the route's pattern, never the path of a request: the number of label values has to be
    /// bounded.
    #[must_use]
    pub fn route(&self, method: &Method, path: &str) -> RouteMetrics {
        RouteMetrics(Arc::new(Route {
            seconds: self
                .request_seconds
                .with_label_values(&[method.as_str(), path]),
            statuses: std::array::from_fn(|_| OnceLock::new()),
            requests: self.requests.clone(),
            method: method.clone(),
            path: path.to_owned(),
        }))
    }

    /// The handles of one input partition.
    pub(crate) fn input(&self, partition: &TopicPartition, function: &str) -> InputMetrics {
        self.inputs.of(partition, function)
    }

    /// The handles of one partition.
    #[must_use]
    pub fn partition(&self, partition: &TopicPartition) -> PartitionMetrics {
        self.partitions.of(partition)
    }

    /// All metrics as text, as Prometheus reads it.
    ///
    /// # Panics
    /// Never: metrics render to memory.
    #[must_use]
    pub fn render(&self) -> String {
        // Elsewhere than on Linux it stays zero.
        if let Some(bytes) = resident_bytes() {
            self.resident_bytes
                .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        if let Some(files) = open_files() {
            self.open_files.set(files);
        }
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("a Vec takes everything, and no family is empty");
        String::from_utf8(text).expect("names and labels are text")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The metrics of one route. Clones are cheap and share them.
#[derive(Clone)]
pub struct RouteMetrics(Arc<Route>);

struct Route {
    seconds: Histogram,
    // By status - 100: resolved at the first answer of that status, an index and one load after it.
    statuses: [OnceLock<IntCounter>; STATUSES],
    requests: IntCounterVec,
    method: Method,
    path: String,
}

/// Statuses 100 to 599. Others, which HTTP has no meaning for, are counted together with 599.
const STATUSES: usize = 500;

impl RouteMetrics {
    /// Counts one answer. The caller takes the time, since it may have taken it anyway.
    pub fn observe(&self, status: StatusCode, elapsed: Duration) {
        let route = &*self.0;
        let index = usize::from(status.as_u16())
            .saturating_sub(100)
            .min(STATUSES - 1);
        route.statuses[index]
            .get_or_init(|| {
                let status = (index + 100).to_string();
                route
                    .requests
                    .with_label_values(&[route.method.as_str(), &route.path, &status])
            })
            .inc();
        route.seconds.observe(elapsed.as_secs_f64());
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteMetrics({} {})", self.0.method, self.0.path)
    }
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), labels).expect("the name is legal");
    registry
        .register(Box::new(counters.clone()))
        .expect("the name is used once");
    counters
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    let gauges = IntGaugeVec::new(Opts::new(name, help), labels).expect("the name is legal");
    registry
        .register(Box::new(gauges.clone()))
        .expect("the name is used once");
    gauges
}

fn seconds(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    let gauges = GaugeVec::new(Opts::new(name, help), labels).expect("the name is legal");
    registry
        .register(Box::new(gauges.clone()))
        .expect("the name is used once");
    gauges
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    let gauge = IntGauge::new(name, help).expect("the name is legal");
    registry
        .register(Box::new(gauge.clone()))
        .expect("the name is used once");
    gauge
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    let counter = IntCounter::new(name, help).expect("the name is legal");
    registry
        .register(Box::new(counter.clone()))
        .expect("the name is used once");
    counter
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let histograms = HistogramVec::new(options, labels).expect("the name is legal");
    registry
        .register(Box::new(histograms.clone()))
        .expect("the name is used once");
    histograms
}

fn open_files() -> Option<i64> {
    // The listing itself is one of them.
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count())
        .ok()
        .map(|count| count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("no {start} in\n{text}"))
    }

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let metrics = Metrics::new();
        let route = metrics.route(&Method::POST, "/vertex/{id}/edges");
        let status = |number| StatusCode::from_u16(number).unwrap();
        for number in [201, 201, 100, 599, 999, 404] {
            route
                .clone()
                .observe(status(number), Duration::from_millis(3));
        }
        let text = metrics.render();
        let count = |status: &str| {
            let labels =
                format!(r#"{{method="POST",route="/vertex/{{id}}/edges",status="{status}"}}"#);
            line(&text, &format!("memgen_http_requests_total{labels}"))
                .rsplit(' ')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            [count("201"), count("100"), count("599"), count("404")],
            ["2", "1", "2", "1"]
        );
        assert!(
            !text.contains(r#"status="200""#),
            "only what happened is listed"
        );
        let seconds =
            r#"memgen_http_request_seconds_count{method="POST",route="/vertex/{id}/edges"}"#;
        assert_eq!(line(&text, seconds), format!("{seconds} 6"));
        let bucket = r#"memgen_http_request_seconds_bucket{method="POST",route="/vertex/{id}/edges",le="0.0025"}"#;
        assert_eq!(line(&text, bucket), format!("{bucket} 0"));
    }

    #[test]
    fn two_handles_of_one_route_count_together() {
        let metrics = Metrics::new();
        for _ in 0..2 {
            metrics
                .route(&Method::GET, "/a")
                .observe(StatusCode::OK, Duration::ZERO);
        }
        let start = r#"memgen_http_requests_total{method="GET",route="/a",status="200"}"#;
        assert_eq!(line(&metrics.render(), start), format!("{start} 2"));
    }

    #[test]
    fn partitions_have_their_own_gauges_and_share_the_histograms_of_their_topic() {
        let metrics = Metrics::new();
        for number in 0..2 {
            let partition = metrics.partition(&TopicPartition::new("graph", number));
            partition.keys.set(10 + i64::from(number));
            partition.queue.inc();
            partition.bytes.add(5);
            partition.position.set(7);
            partition.replayed.inc_by(3);
            partition.replies.set(1);
            partition.commit_seconds.observe(0.001);
            partition.group_records.observe(4.0);
        }
        metrics.log_size_bytes.set(1 << 40);
        metrics.connections.inc();
        metrics.connections_refused.inc();
        metrics.set_build("graph", "1.2.3");
        let text = metrics.render();
        for expected in [
            r#"memgen_keys{partition="0",topic="graph"} 10"#,
            r#"memgen_keys{partition="1",topic="graph"} 11"#,
            r#"memgen_queue_length{partition="1",topic="graph"} 1"#,
            r#"memgen_bytes{partition="0",topic="graph"} 5"#,
            r#"memgen_log_position{partition="0",topic="graph"} 7"#,
            r#"memgen_replay_records_total{partition="0",topic="graph"} 3"#,
            r#"memgen_dedupe_replies{partition="0",topic="graph"} 1"#,
            r#"memgen_commit_seconds_count{topic="graph"} 2"#,
            r#"memgen_group_records_bucket{topic="graph",le="2"} 0"#,
            r#"memgen_group_records_bucket{topic="graph",le="4"} 2"#,
            "memgen_log_size_bytes 1099511627776",
            "memgen_connections 1",
            "memgen_connections_refused_total 1",
        ] {
            assert!(
                text.lines().any(|line| line == expected),
                "no {expected} in\n{text}"
            );
        }
        assert!(line(&text, "memgen_build_info").contains(r#"service="graph",version="1.2.3"} 1"#));
    }

    #[test]
    fn two_sets_do_not_share() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.connections.inc();
        assert_eq!(other.connections.get(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_seen() {
        let metrics = Metrics::new();
        let _ = metrics.render();
        assert!(metrics.resident_bytes.get() > 100_000);
        assert!(metrics.open_files.get() >= 3);
    }
}
