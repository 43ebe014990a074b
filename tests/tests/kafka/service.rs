//! A service on Kafka, killed under load: what was acknowledged is there, and nothing happened twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use memgen_tests::{Client, Service};
use serde_json::json;
use tokio::{sync::watch, time::sleep};

use crate::common::{THREE, prefix};

/// How often the service is killed.
const KILLS: usize = 4;
const WORKERS: usize = 8;

/// Counts on one key, each count with an id of its own, and asks again until it is answered. Returns how many were.
async fn count(
    number: usize,
    mut api: watch::Receiver<Option<String>>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut counted = 0;
    while !stop.load(Ordering::Relaxed) {
        let id = format!("{number}-{counted}");
        loop {
            let address = api
                .wait_for(Option::is_some)
                .await
                .expect("the test goes on")
                .clone();
            let client = Client::new(address.expect("it is some"));
            let request = client
                .request("POST", &format!("/r/{}/add", number % 4))
                .header("idempotency-key", &id)
                .json(&json!({"by": 1}));
            match request.try_send().await {
                Ok(reply) if reply.status == 200 => break,
                Ok(reply) => assert_eq!(reply.status, 503, "{reply:?}"),
                Err(_) => {}
            }
            sleep(Duration::from_millis(5)).await;
        }
        counted += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_loses_and_doubles_nothing() {
    let _steady = THREE.steady().await;
    let service = Service::new("register")
        .args(&["--log", &format!("kafka://{}", THREE.addresses)])
        .args(&["--topic-prefix", &prefix(), "--session-timeout-ms", "4000"]);
    let (api, seen) = watch::channel(None);
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| tokio::spawn(count(number, seen.clone(), stop.clone())))
        .collect();
    let mut running = service.start().await;
    for _ in 0..KILLS {
        api.send_replace(Some(running.addresses("api").remove(0)));
        sleep(Duration::from_millis(700)).await;
        running.kill_9();
        api.send_replace(None);
        running = service.start().await;
    }
    api.send_replace(Some(running.addresses("api").remove(0)));
    stop.store(true, Ordering::Relaxed);
    let mut counted = [0; 4];
    for (number, worker) in join_all(workers).await.into_iter().enumerate() {
        counted[number % 4] += worker.expect("a worker");
    }
    assert!(counted.iter().sum::<u64>() > 100, "{counted:?}");
    let client = running.client();
    for (key, counted) in counted.iter().enumerate() {
        let reply = client.get(&format!("/r/{key}")).await;
        assert_eq!(reply.json()["value"], json!(counted), "key {key}");
    }
    // What a new start reads is the same.
    assert!(running.terminate().await.success());
    let mut running = service.start().await;
    for (key, counted) in counted.iter().enumerate() {
        let reply = running.client().get(&format!("/r/{key}")).await;
        assert_eq!(reply.json()["value"], json!(counted), "key {key}");
    }
    running.assert_sound();
}
