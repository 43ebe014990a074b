//! Measures the embedded log against bare writes with `fdatasync`, and how fast it reads.
use memgen::{
    log::{
        Log, Topic, TopicPartition,
        embedded::{Embedded, Options},
    },
    record::{Ballot, Kind, Record, codec},
};
use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};
fn record(n: u64) -> Record {
    Record {
        ballot: Ballot::new(1, 1),
        kind: Kind::Data,
        timestamp_ms: 1,
        schema: 2,
        answered: None,
        key: format!("{n:020}").into(),
        value: Some(vec![b'x'; 100].into()),
    }
}
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
#[tokio::main]
async fn main() {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).expect("a folder"));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let log = Embedded::open(dir.join("log"), Options::default()).unwrap();
    log.declare(&Topic {
        name: "t".into(),
        partitions: 2,
        partitioner: String::new(),
        format: String::new(),
    })
    .unwrap();
    let p = TopicPartition::new("t", 0);
    let mut producer = log.producer(&p).unwrap();
    for count in [1u64, 100, 1000] {
        let rounds = if count == 1 { 2000 } else { 300 };
        let records: Vec<_> = (0..count).map(record).collect();
        let mut bytes = Vec::new();
        for r in &records {
            codec::encode(r, 0, &mut bytes).unwrap();
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(dir.join("raw"))
            .unwrap();
        let (mut raw, mut ours) = (Vec::new(), Vec::new());
        let mut at = 0;
        for _ in 0..rounds {
            let t = Instant::now();
            file.write_all_at(&bytes, at).unwrap();
            file.sync_data().unwrap();
            raw.push(t.elapsed());
            at += bytes.len() as u64;
        }
        for _ in 0..rounds {
            let records = records.clone();
            let t = Instant::now();
            producer.append(records).await.unwrap();
            ours.push(t.elapsed());
        }
        println!(
            "{count:5} records: raw {:.3} ms, ours {:.3} ms",
            median(raw),
            median(ours)
        );
    }
    let from = log.end(&p).await.unwrap();
    let t = Instant::now();
    let mut receipts = Vec::new();
    for chunk in 0..1000u64 {
        receipts.push(producer.append((0..1000).map(|n| record(chunk * 1000 + n)).collect()));
    }
    for r in receipts {
        r.await.unwrap();
    }
    println!("1M records written in {:?}", t.elapsed());
    for _ in 0..3 {
        let t = Instant::now();
        let (mut at, mut count) = (from, 0usize);
        loop {
            let chunk = log.read(&p, at, 1 << 20).await.unwrap();
            if chunk.next == at {
                break;
            }
            at = chunk.next;
            count += chunk.records.len();
        }
        println!(
            "read {count} in {:?}: {:.1} M/s",
            t.elapsed(),
            count as f64 / t.elapsed().as_secs_f64() / 1e6
        );
    }
    let size = log.size_bytes();
    log.close().await;
    let t = Instant::now();
    let log = Embedded::open(dir.join("log"), Options::default()).unwrap();
    println!("opened {} MB in {:?}", size >> 20, t.elapsed());
    let t = Instant::now();
    println!(
        "compact: {:?} {:?} -> {} MB",
        log.compact(),
        t.elapsed(),
        log.size_bytes() >> 20
    );
}
