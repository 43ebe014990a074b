//! The suite, for each log.

use std::sync::atomic::{AtomicU32, Ordering};

use memgen::log::{
    conformance,
    embedded::{Embedded, Options, Sync},
    sim::{Faults, Sim},
};

async fn embedded(options: Options) {
    let folder = tempfile::tempdir().expect("a folder");
    let count = AtomicU32::new(0);
    conformance::suite(async || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        Embedded::open(folder.path().join(number.to_string()), options.clone()).expect("it opens")
    })
    .await;
    conformance::reopened(async || {
        Embedded::open(folder.path().join("reopened"), options.clone()).expect("it opens")
    })
    .await;
}

#[tokio::test]
async fn embedded_with_sync() {
    embedded(Options::default()).await;
}

#[tokio::test]
async fn embedded_without_sync() {
    embedded(Options {
        sync: Sync::Os,
        ..Options::default()
    })
    .await;
}

/// Journals roll and are compacted all the time.
#[tokio::test]
async fn embedded_in_small_segments() {
    embedded(Options {
        segment_bytes: 4096,
        growth_percent: 0,
        ..Options::default()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn simulated() {
    for seed in 0..20 {
        conformance::suite(async || Sim::new(seed, Faults::none()).client()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn simulated_in_pieces() {
    let faults = Faults {
        split: 0.5,
        ..Faults::none()
    };
    for seed in 0..20 {
        conformance::suite(async || Sim::new(seed, faults.clone()).client()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn simulated_with_faults_keeps_prefixes() {
    for seed in 0..200 {
        let faults = Faults {
            ack_lost: 0.1,
            foreign: 0.05,
            compaction: None,
            ..Faults::some()
        };
        conformance::prefix(&Sim::new(seed, faults).client(), 30).await;
    }
}
