//! Reads and writes over HTTP.

use memgen_tests::{Folder, cluster};

use crate::{
    Outcome,
    entries::ENTRIES,
    fill::{Size, fill},
    load::Seen,
    nodes::Nodes,
    options::Options,
    process::{Keys, Server},
    report::{Compared, Report, Target, in_turn},
    tail,
};

const CONNECTIONS: [usize; 3] = [1, 32, 128];

/// Those that a durable write waits for Kafka with.
const CONNECTIONS_ON_KAFKA: [usize; 3] = [1, 32, 256];

/// Both servers, with the same entries.
struct Servers {
    ours: Server,
    bare: Server,
    /// Their files.
    _folder: Folder,
    /// What they have their logs in, if that is not files.
    _kafka: Option<cluster::Servers>,
}

impl Servers {
    fn start(options: &Options) -> Outcome<Self> {
        let folder = Folder::new();
        let data = folder.path().join("data");
        fill(&data, ENTRIES, Size::Value, false)?;
        let file = folder.path().join("bare");
        let text = |path: &std::path::Path| path.display().to_string();
        Ok(Self {
            ours: Server::start(options, &["register", &text(&data)])?,
            bare: Server::start(options, &["bare", &text(&file)])?,
            _folder: folder,
            _kafka: None,
        })
    }

    /// The same with three brokers, each record at all of them, without any entries at first.
    fn on_kafka(options: &Options) -> Outcome<Self> {
        let folder = Folder::new();
        let kafka = cluster::Servers::start(3, 1);
        let brokers = kafka.kafka.addresses();
        let data = folder.path().join("data").display().to_string();
        Ok(Self {
            ours: Server::start(options, &["register", &data, &brokers])?,
            bare: Server::start(options, &["bare", "kafka", &brokers])?,
            _folder: folder,
            _kafka: Some(kafka),
        })
    }

    fn measure(
        &self,
        options: &Options,
        kind: &str,
        connections: usize,
    ) -> Outcome<Vec<(Seen, Seen)>> {
        in_turn(options.rounds, |ours, round| {
            let server = if ours { &self.ours } else { &self.bare };
            server.load(kind, Keys::All, connections, options.load, round)
        })
    }
}

fn compared(rounds: &[(Seen, Seen)], of: impl Fn(&Seen) -> f64) -> Compared {
    let rounds: Vec<_> = rounds
        .iter()
        .map(|(ours, bare)| (of(ours), of(bare)))
        .collect();
    Compared::new(&rounds)
}

/// `GET` of a random key, against a handler that reads from the same kind of map.
pub(crate) fn reads(options: &Options, report: &mut Report) -> Outcome<()> {
    throughput(options, report, "get", "read", Target::AtLeast(0.9))
}

/// Durable `PUT` of a random key, against a handler that appends to a file with group `fdatasync`.
pub(crate) fn writes(options: &Options, report: &mut Report) -> Outcome<()> {
    throughput(options, report, "put", "write", Target::AtLeast(0.8))
}

fn throughput(
    options: &Options,
    report: &mut Report,
    kind: &str,
    what: &str,
    target: Target,
) -> Outcome<()> {
    let servers = Servers::start(options)?;
    for connections in CONNECTIONS {
        let rounds = servers.measure(options, kind, connections)?;
        let what = format!("{what}s, {connections} connections");
        report.ratio(
            &what,
            "/s",
            compared(&rounds, |seen| seen.per_second),
            target,
        );
        let what = format!("{what}: server's processor time each");
        report.ratio(
            &what,
            "µs",
            compared(&rounds, |seen| seen.server_us),
            Target::None,
        );
    }
    Ok(())
}

/// One durable `PUT` after the other.
pub(crate) fn lone(options: &Options, report: &mut Report) -> Outcome<()> {
    let servers = Servers::start(options)?;
    // More rounds, each shorter: one hiccup of the disk decides what a 99th percentile is.
    let options = Options {
        rounds: options.rounds * 4,
        load: options.load / 2,
        ..options.clone()
    };
    let rounds = servers.measure(&options, "put", 1)?;
    let target = Target::AtMost(1.3);
    report.ratio(
        "lone write, median",
        "µs",
        compared(&rounds, |seen| seen.median_us),
        target,
    );
    report.ratio(
        "lone write, p99",
        "µs",
        compared(&rounds, |seen| seen.p99_us),
        target,
    );
    Ok(())
}

/// A durable `PUT` of a random key by three brokers, against a handler that awaits the report of a `FutureProducer`.
pub(crate) fn kafka(options: &Options, report: &mut Report) -> Outcome<()> {
    let servers = Servers::on_kafka(options)?;
    for connections in CONNECTIONS_ON_KAFKA {
        let rounds = servers.measure(options, "put", connections)?;
        let what = format!("writes through Kafka, {connections} connections");
        for (what, unit, of, target) in [
            (
                what.clone(),
                "/s",
                (|seen| seen.per_second) as fn(&Seen) -> f64,
                Target::AtLeast(0.8),
            ),
            (
                format!("{what}: median"),
                "µs",
                |seen| seen.median_us,
                Target::AtMost(1.25),
            ),
            (
                format!("{what}: p99"),
                "µs",
                |seen| seen.p99_us,
                Target::None,
            ),
            (
                format!("{what}: server's processor time each"),
                "µs",
                |seen| seen.server_us,
                Target::None,
            ),
        ] {
            report.ratio(&what, unit, compared(&rounds, of), target);
        }
    }
    Ok(())
}

/// `GET` of a random key that the other of two nodes owns, against one that the node which is asked owns.
///
/// Nodes have machines of their own. So the one that is asked has a core to itself, as for local reads, and what the other one does for it is done beside the clients. Where
/// both are on one core the ratio is that of the work of two nodes to that of one.
pub(crate) fn forwarded(options: &Options, report: &mut Report) -> Outcome<()> {
    {
        let servers = cluster::Servers::start(3, 1);
        let brokers = servers.kafka.addresses();
        let folder = Folder::new();
        let data = folder.path().display().to_string();
        // It makes the topic.
        drop(Server::start(options, &["register", &data, &brokers])?);
        tail::fill(&brokers, ENTRIES, Size::Value, 0..1)?;
        let nodes = Nodes::start(options, &servers)?;
        let what = "forwarded reads against local ones";
        forwarded_by(&nodes.asked, what, Target::AtLeast(0.5), options, report)?;
    }
    let folder = Folder::new();
    let data = folder.path().join("data");
    fill(&data, ENTRIES, Size::Value, false)?;
    let both = Server::start(options, &["two", &data.display().to_string()])?;
    let what = "forwarded reads against local ones, both nodes on the same core";
    forwarded_by(&both, what, Target::None, options, report)
}

fn forwarded_by(
    asked: &Server,
    what: &str,
    target: Target,
    options: &Options,
    report: &mut Report,
) -> Outcome<()> {
    for connections in CONNECTIONS {
        let rounds = in_turn(options.rounds, |forwarded, round| {
            let keys = if forwarded { Keys::Others } else { Keys::Owned };
            asked.load("get", keys, connections, options.load, round)
        })?;
        let what = format!("{what}, {connections} connections");
        report.ratio(
            &what,
            "/s",
            compared(&rounds, |seen| seen.per_second),
            target,
        );
        let what = format!("{what}: processor time of who is asked each");
        let times = compared(&rounds, |seen| seen.server_us);
        report.ratio(&what, "µs", times, Target::None);
    }
    Ok(())
}
