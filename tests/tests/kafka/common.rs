//! The brokers, and logs on them.

use std::{
    fs,
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memgen::log::kafka::{Kafka, Options};
use memgen_cli::servers::{Jars, Kafka as Brokers};

/// Three brokers, which no test stops or pauses.
pub(crate) static THREE: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("three", 3));
/// A single one.
pub(crate) static ONE: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("one", 1));

/// Brokers, and where they are.
pub(crate) struct Cluster {
    pub(crate) addresses: String,
    _brokers: Brokers,
}

impl Cluster {
    /// Brokers in a folder that is made anew; what an earlier run left there is of no use. They end with this process.
    fn start(name: &str, count: usize) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("kafka")
            .join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the brokers");
        let jars = Jars::fetch().expect("Java and Maven are installed");
        let mut brokers = Brokers::create(&jars, &folder, count).expect("brokers");
        brokers.start().expect("they answer");
        Self {
            addresses: brokers.addresses(),
            _brokers: brokers,
        }
    }
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("t{}-", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A log on these brokers; topics begin with `prefix`.
pub(crate) fn options(brokers: &str, prefix: &str) -> Options {
    Options {
        brokers: brokers.to_owned(),
        topic_prefix: prefix.to_owned(),
        append_timeout: Duration::from_secs(30),
        replication_factor: if brokers.contains(',') { 3 } else { 1 },
        ..Options::default()
    }
}

/// Opens it.
pub(crate) async fn open(brokers: &str, prefix: &str) -> Kafka {
    Kafka::open(options(brokers, prefix))
        .await
        .expect("the brokers answer")
}
