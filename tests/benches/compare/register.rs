//! memgen itself: a state with 20-byte keys and 100-byte values in 8 partitions.

#![allow(clippy::print_stdout, reason = "its parent reads the outcome")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use memgen::{
    Config, State,
    config::{CoordinatorChoice, KafkaConfig, LogChoice},
    prelude::*,
};

use memgen_tests::Client;

use crate::{
    Outcome,
    process::{announce_and_wait, own_memory},
};

/// A value under a key.
#[stateful_api(path = "/r", topic = "register", partitions = 8, crud(get, put))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Register {
    /// The key.
    #[key]
    pub(crate) key: String,
    /// The value.
    pub(crate) value: String,
}

/// The topic of the state, as the service declares it.
pub(crate) fn topic() -> memgen::log::Topic {
    let definition = Register::DEFINITION;
    memgen::log::Topic {
        name: definition.topic.to_owned(),
        partitions: definition.partitions,
        partitioner: "murmur2 key".to_owned(),
        format: "json".to_owned(),
    }
}

/// Free ports and a data folder.
pub(crate) fn config(data: &Path) -> Config {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        http: any,
        admin: any,
        peer: any,
        data: data.to_owned(),
        ..Config::default()
    }
}

/// The same with the log in Kafka, each record at so many brokers.
pub(crate) fn on_kafka(data: &Path, brokers: &str, replication_factor: u32) -> Config {
    Config {
        log: LogChoice::Kafka(brokers.to_owned()),
        kafka: KafkaConfig {
            replication_factor,
            ..KafkaConfig::default()
        },
        ..config(data)
    }
}

/// Serves what is in a data folder, or in Kafka: `FOLDER [BROKERS]`.
pub(crate) fn serve(args: &[String]) -> Outcome<()> {
    let config = match args {
        [folder] => config(folder.as_ref()),
        [folder, brokers] => on_kafka(folder.as_ref(), brokers, 3),
        _ => return Err("a service needs a folder".into()),
    };
    // As `memgen::main!` makes it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let running = runtime.block_on(async {
        let running = memgen::service!(Register).start(config).await?;
        running.ready().await?;
        Outcome::Ok(running)
    })?;
    announce_and_wait(running.nodes()[0].http);
    runtime.block_on(running.stop());
    Ok(())
}

/// Serves what is in a data folder by two nodes, of which the first has half of the partitions: `FOLDER`.
pub(crate) fn serve_two(args: &[String]) -> Outcome<()> {
    let [folder] = args else {
        return Err("a service needs a folder".into());
    };
    let config = Config {
        nodes: 2,
        ..config(folder.as_ref())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (running, owned) = runtime.block_on(async {
        let running = memgen::service!(Register).start(config).await?;
        running.ready().await?;
        let owned = owned_half(&running).await?;
        Outcome::Ok((running, owned))
    })?;
    announce_and_wait(format_args!("{} {owned}", running.nodes()[0].http));
    runtime.block_on(running.stop());
    Ok(())
}

/// Serves as a node of a cluster, with one standby for each partition: `NAME FOLDER BROKERS ZOOKEEPER`. The one called `other` is there when it owns half of the partitions and follows
/// the other half.
pub(crate) fn serve_node(args: &[String]) -> Outcome<()> {
    let [name, folder, brokers, zookeeper] = args else {
        return Err("a node needs a name, a folder, brokers and ZooKeeper".into());
    };
    let config = Config {
        node: Some(name.clone()),
        coordinator: CoordinatorChoice::ZooKeeper(format!("zookeeper://{zookeeper}").parse()?),
        replicas: 1,
        ..on_kafka(folder.as_ref(), brokers, 3)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (running, owned) = runtime.block_on(async {
        let running = memgen::service!(Register).start(config).await?;
        running.ready().await?;
        let owned = match name.as_str() {
            "other" => owned_half(&running).await?,
            _ => String::new(),
        };
        Outcome::Ok((running, owned))
    })?;
    announce_and_wait(format_args!("{} {owned}", running.nodes()[0].http));
    runtime.block_on(running.stop());
    Ok(())
}

/// The partitions that the first node of a process owns, once those are half of all, and it has of each what it shall have.
async fn owned_half(running: &memgen::server::Running) -> Outcome<String> {
    let admin = Client::new(format!("http://{}", running.nodes()[0].admin));
    for _ in 0..200 {
        let status = admin.get("/status").await.json();
        let partitions = status["partitions"].as_array().ok_or("no partitions")?;
        let owned: Vec<&serde_json::Value> = partitions
            .iter()
            .filter(|one| one["owner"] == status["node"] && one["phase"] == "serving")
            .map(|one| &one["partition"])
            .collect();
        let ready = status["ready"] == true && partitions.iter().all(|one| !one["owner"].is_null());
        if ready && owned.len() * 2 == partitions.len() {
            let owned: Vec<String> = owned.iter().map(ToString::to_string).collect();
            return Ok(owned.join(","));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the partitions are not shared by both nodes".into())
}

/// What a start on a log came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restarted {
    /// Until the log was open, and all of it checked.
    pub(crate) open_seconds: f64,
    /// From there until all partitions served.
    pub(crate) replay_seconds: f64,
    /// Resident memory, less what was there before.
    pub(crate) resident_bytes: f64,
    /// The most that was resident at one time, less what was there before.
    pub(crate) peak_bytes: f64,
}

impl Restarted {
    /// Reads what [`restart`] printed.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
        let [open_seconds, replay_seconds, resident_bytes, peak_bytes] = numbers?[..] else {
            return Err(format!("`{text}` is not what a restart prints").into());
        };
        Ok(Self {
            open_seconds,
            replay_seconds,
            resident_bytes,
            peak_bytes,
        })
    }
}

/// Starts on a data folder, prints how long it took and how much memory it takes, and stops: `FOLDER`.
pub(crate) fn restart(args: &[String]) -> Outcome<()> {
    let [folder] = args else {
        return Err("a service needs a folder".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let before = own_memory("VmRSS")?;
        let started = Instant::now();
        let running = memgen::service!(Register)
            .start(config(folder.as_ref()))
            .await?;
        let open = started.elapsed();
        running.ready().await?;
        let ready = started.elapsed();
        let replay = ready.saturating_sub(open);
        let (resident, peak) = (own_memory("VmRSS")? - before, own_memory("VmHWM")? - before);
        let (open, replay) = (open.as_secs_f64(), replay.as_secs_f64());
        println!("{open} {replay} {resident} {peak}");
        running.stop().await;
        Ok(())
    })
}
