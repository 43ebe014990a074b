//! Transactions: what they cost beside plain commands, beside what Kafka takes for a record, and beside `PostgreSQL`.

use memgen_tests::{Folder, cluster};
use rdkafka::{
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};

use crate::{
    Outcome,
    accounts::Post,
    bare,
    entries::VALUE_BYTES,
    load::{Exchange, Seen, drive},
    options::Options,
    process::{self, Server},
    report::{Compared, Report, Target, in_turn},
};

const CONNECTIONS: [usize; 3] = [1, 32, 128];
/// Those that wait for Kafka, which shares the cores.
const CONNECTIONS_ON_KAFKA: [usize; 2] = [1, 32];

fn compared(rounds: &[(Seen, Seen)], of: impl Fn(&Seen) -> f64) -> Compared {
    let rounds = rounds.iter().map(|(ours, theirs)| (of(ours), of(theirs)));
    Compared::new(&rounds.collect::<Vec<_>>())
}

/// A transaction on one account, against a plain command that does the same.
pub(crate) fn one_partition(options: &Options, report: &mut Report) -> Outcome<()> {
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let server = Server::start(options, &["accounts", &data])?;
    for connections in CONNECTIONS {
        let rounds = in_turn(options.rounds, |transaction, round| {
            let post = if transaction {
                Post::Transaction
            } else {
                Post::Command
            };
            server.posts(post, connections, options.load, round)
        })?;
        let what = format!("transactions on one key against commands, {connections} connections");
        rows(
            report,
            &what,
            &rounds,
            [Target::AtLeast(1.0 / 1.3), Target::AtMost(1.3)],
        );
    }
    Ok(())
}

/// A transaction over two partitions, against a producer of Kafka that waits for the acknowledgement of one record.
pub(crate) fn two_partitions(options: &Options, report: &mut Report) -> Outcome<()> {
    let folder = Folder::new();
    let kafka = cluster::Servers::start(3, 1);
    let brokers = kafka.kafka.addresses();
    let data = folder.path().join("data").display().to_string();
    let server = Server::start(options, &["accounts", &data, &brokers])?;
    // It makes its topic.
    let _bare = Server::start(options, &["bare", "kafka", &brokers])?;
    for connections in CONNECTIONS_ON_KAFKA {
        let rounds = in_turn(options.rounds, |ours, round| {
            if ours {
                return server.posts(Post::Apart, connections, options.load, round);
            }
            let (connections, seconds) = (connections.to_string(), options.load.as_secs_f64());
            let args = ["produce", &brokers, &connections, &seconds.to_string()];
            Seen::parse(&process::run(&args)?)
        })?;
        let what = format!(
            "transactions over two partitions against a record of Kafka, {connections} connections"
        );
        rows(report, &what, &rounds, [Target::None, Target::AtMost(3.0)]);
    }
    Ok(())
}

/// Transfers between any two accounts, against `PostgreSQL` behind a handler of axum.
#[cfg(feature = "postgres")]
pub(crate) fn postgres(options: &Options, report: &mut Report) -> Outcome<()> {
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let server = Server::start(options, &["accounts", &data])?;
    let postgres = crate::postgres::Postgres::start(options)?;
    let front = Server::start(options, &["postgres", postgres.socket()])?.also(postgres.id());
    for connections in CONNECTIONS {
        let rounds = in_turn(options.rounds, |ours, round| {
            let server = if ours { &server } else { &front };
            server.posts(Post::Transfer, connections, options.load, round)
        })?;
        let what = format!("transfers against PostgreSQL, {connections} connections");
        rows(report, &what, &rounds, [Target::AtLeast(1.0), Target::None]);
    }
    Ok(())
}

#[cfg(not(feature = "postgres"))]
#[allow(clippy::unnecessary_wraps, reason = "as with PostgreSQL")]
pub(crate) fn postgres(_: &Options, _: &mut Report) -> Outcome<()> {
    Ok(())
}

fn rows(
    report: &mut Report,
    what: &str,
    rounds: &[(Seen, Seen)],
    [throughput, median]: [Target; 2],
) {
    let row = compared(rounds, |seen| seen.per_second);
    report.ratio(what, "/s", row, throughput);
    let row = compared(rounds, |seen| seen.median_us);
    report.ratio(&format!("{what}: median"), "µs", row, median);
    let row = compared(rounds, |seen| seen.p99_us);
    report.ratio(&format!("{what}: p99"), "µs", row, Target::None);
    let row = compared(rounds, |seen| seen.server_us);
    if row.theirs > 0.0 {
        let what = format!("{what}: server's processor time each");
        report.ratio(&what, "µs", row, Target::None);
    }
}

/// Produces records and waits for each: `BROKERS CONNECTIONS SECONDS`. Prints what [`drive`] does.
pub(crate) fn produce(args: &[String]) -> Outcome<()> {
    let [brokers, connections, seconds] = args else {
        return Err(
            "a producer needs brokers, how many wait at once, and for how many seconds".into(),
        );
    };
    let producer: FutureProducer = bare::producer_config(brokers).create()?;
    drive(connections, seconds, async |number| {
        let (producer, key) = (producer.clone(), number.to_string());
        Ok(Produced { producer, key })
    })
}

/// One that has one record under way at a time.
struct Produced {
    producer: FutureProducer,
    key: String,
}

impl Exchange for Produced {
    async fn exchange(&mut self) -> Outcome<()> {
        let value = [b'x'; VALUE_BYTES];
        let record = FutureRecord::to(bare::TOPIC)
            .key(&self.key)
            .payload(&value[..]);
        let sent = self.producer.send(record, Timeout::Never).await;
        sent.map_err(|(error, _)| error)?;
        Ok(())
    }
}
