//! On one process without anything installed: topics are in the embedded log.

use std::fmt::Write as _;

use memgen::log::Log as _;
use memgen::log::embedded::{Embedded, Options};
use memgen::partitioner::partition;
use memgen_tests::{Folder, Reply};

use super::*;

async fn post(client: &Client, path: &str, media_type: &str, body: impl Into<String>) -> Reply {
    let body: String = body.into();
    let request = client.request("POST", path).body(body);
    request.header("content-type", media_type).send().await
}

async fn sight(client: &Client, place: &str, count: u64) {
    let event = json!({"place": place, "count": count});
    let reply = client.post("/_events/sightings", &event).await;
    assert_eq!(reply.status, 202, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_by_http_are_counted_once_over_restarts() {
    let folder = Folder::new();
    let (running, apis, admins) = start(config(folder.path(), 1)).await;
    sight(&apis[0], "oak", 3).await;
    let mut lines = String::new();
    for number in 0..200 {
        writeln!(lines, r#"{{"place": "p{}", "count": 2}}"#, number % 10).expect("a string");
    }
    let reply = post(
        &apis[0],
        "/_events/sightings",
        "application/x-ndjson",
        lines,
    )
    .await;
    assert_eq!(
        (reply.status, reply.json()),
        (202, json!({"accepted": 200}))
    );
    caught_up(&admins, "sightings", 201).await;
    for (path, media_type, body, status) in [
        ("/_events/nothing", "application/json", "{}", 404),
        ("/_events/sightings", "application/json", "{}", 422),
        ("/_events/sightings", "application/json", "nonsense", 422),
        ("/_events/sightings", "text/plain", "{}", 415),
        ("/_events/sightings?kay=1", "application/json", "{}", 400),
        ("/_events/raw", "application/octet-stream", "x", 202),
    ] {
        let reply = post(&apis[0], path, media_type, body).await;
        assert_eq!(reply.status, status, "{path} {body}: {reply:?}");
    }
    running.stop().await;

    let (running, apis, admins) = start(config(folder.path(), 1)).await;
    caught_up(&admins, "sightings", 201).await;
    assert_eq!(seen(&apis[0], "oak").await, Some(3));
    for number in 0..10 {
        assert_eq!(seen(&apis[0], &format!("p{number}")).await, Some(40));
    }
    let metrics = admins[0].get("/metrics").await;
    let lags = metrics.text().lines();
    let lags =
        lags.filter(|line| line.starts_with("memgen_input_lag{") && line.contains("sightings"));
    assert_eq!(lags.filter(|line| line.ends_with(" 0")).count(), 4);
    // The event time is that of the last event.
    let times = inputs(&admins, "sightings").await;
    assert!(
        times
            .iter()
            .any(|input| input["event_time_ms"].as_u64() > Some(1_700_000_000_000)),
        "{times:?}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_replayed_once_and_may_grow() {
    let folder = Folder::new();
    let file = folder.path().join("events.jsonl");
    let mut lines = String::new();
    for number in 0..3000_u32 {
        let place = format!("p{}", number % 7);
        let event = json!({"topic": "sightings", "value": {"place": place, "count": 1}});
        writeln!(lines, "{event}").expect("a string");
    }
    let data = folder.path().join("data");
    let mut config = config(&data, 1);
    config.replay = Some(file.clone());
    let missing = service().start(config.clone()).await;
    assert!(missing.is_err_and(|error| error.to_string().contains("--replay")));
    for events in [3000, 3000, 3001] {
        if events == 3001 {
            lines.push_str(r#"{"topic": "sightings", "value": {"place": "more", "count": 5}}"#);
        }
        std::fs::write(&file, &lines).expect("the folder can be written");
        let (running, apis, admins) = start(config.clone()).await;
        caught_up(&admins, "sightings", events).await;
        let mut all = 0;
        for number in 0..7 {
            all += seen(&apis[0], &format!("p{number}"))
                .await
                .expect("it was seen");
        }
        assert_eq!(all, 3000);
        let more = (events == 3001).then_some(5);
        assert_eq!(seen(&apis[0], "more").await, more);
        running.stop().await;
    }
    let records = records(&data, "sightings").await;
    assert_eq!(records.iter().map(Vec::len).sum::<usize>(), 3001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cant_be_taken_in_is_a_dead_letter() {
    let folder = Folder::new();
    let (running, apis, admins) = start(config(folder.path(), 1)).await;
    let bytes = "application/octet-stream";
    for body in ["no JSON", "{}"] {
        let reply = post(&apis[0], "/_events/sightings?key=k", bytes, body).await;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
    for count in [0, 13, 1] {
        sight(&apis[0], "oak", count).await;
    }
    caught_up(&admins, "sightings", 5).await;
    assert_eq!(
        seen(&apis[0], "oak").await,
        Some(1),
        "the others did nothing"
    );
    let letters = until("all dead letters arrive", async || {
        let letters = records(folder.path(), "strange").await;
        let letters: Vec<_> = letters.into_iter().flatten().collect();
        (letters.len() >= 4).then_some(letters)
    })
    .await;
    let mut said = BTreeMap::new();
    for letter in &letters {
        let note = letter.answered.as_ref().map(|origin| origin.reply.clone());
        let note: Value = serde_json::from_slice(&note.expect("a note")).expect("JSON");
        let value = letter.value.clone().expect("the event as it came");
        let error = note["error"].as_str().expect("text").to_owned();
        assert!(
            note["position"]
                .as_str()
                .is_some_and(|it| it.starts_with("sightings/"))
        );
        said.insert(String::from_utf8(value.to_vec()).expect("text"), error);
    }
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said["no JSON"].contains("expected"), "{said:?}");
    assert!(said["{}"].contains("missing field"), "{said:?}");
    let of = |number: &str| {
        let mut found = said.iter().filter(|(event, _)| event.contains(number));
        found.next().expect("it is there").1
    };
    assert_eq!(of(":0"), "409: nothing was seen");
    assert!(of(":13").starts_with("500"), "{said:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_topic_for_it_the_input_stops() {
    let folder = Folder::new();
    let (running, apis, admins) = start(config(folder.path(), 1)).await;
    sight(&apis[0], "oak", 2).await;
    caught_up(&admins, "sightings", 1).await;
    for (from, to) in [("oak", "elm"), ("nowhere", "elm"), ("oak", "fir")] {
        // All in one partition, so that the second one is in the way of the third.
        let event = json!({"from": from, "to": to});
        let reply = apis[0].post("/_events/moves?key=k", &event).await;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
    let stopped = async |admins: &[Client]| {
        until("the input stops", async || {
            let inputs = inputs(admins, "moves").await;
            inputs.into_iter().find(|input| input["phase"] == "stopped")
        })
        .await
    };
    let input = stopped(&admins).await;
    assert_eq!(input["position"], 1, "{input}");
    let why = input["stopped_because"].as_str().expect("text");
    assert_eq!(why, "at offset 1: 404: no such place");
    assert_eq!(seen(&apis[0], "elm").await, Some(1));
    assert_eq!(seen(&apis[0], "fir").await, None, "nothing was skipped");
    // Other inputs go on.
    sight(&apis[0], "oak", 1).await;
    caught_up(&admins, "sightings", 2).await;
    running.stop().await;

    // It stops again, until the cause is gone.
    let (running, apis, admins) = start(config(folder.path(), 1)).await;
    stopped(&admins).await;
    let nowhere = json!({"name": "nowhere", "seen": 1});
    assert_eq!(apis[0].put("/place/nowhere", &nowhere).await.status, 201);
    running.stop().await;
    let (running, apis, admins) = start(config(folder.path(), 1)).await;
    caught_up(&admins, "moves", 3).await;
    for (place, expected) in [("oak", 1), ("elm", 2), ("fir", 1), ("nowhere", 0)] {
        assert_eq!(seen(&apis[0], place).await, Some(expected), "{place}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_emitted_arrives_in_order() {
    let folder = Folder::new();
    let (running, apis, admins) = start(config(folder.path(), 1)).await;
    for (times, status) in [(3, 200), (5, 409), (2, 200), (0, 200)] {
        let reply = apis[0]
            .post_empty(&format!("/place/oak/shout/{times}/{status}"))
            .await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
    for what in ["a", "b", "a"] {
        assert_eq!(
            apis[0].post_empty(&format!("/whisper/{what}")).await.status,
            204
        );
    }
    sight(&apis[0], "oak", 1).await;
    let arrived = async |topic: &str, count: usize| {
        until(topic, async || {
            let records = records(folder.path(), topic).await.into_iter().flatten();
            let records: Vec<_> = records.collect();
            (records.len() >= count).then_some(records)
        })
        .await
    };
    let shouts = arrived("shouts", 5).await;
    let values: Vec<_> = shouts
        .iter()
        .map(|it| it.value.clone().expect("a value"))
        .collect();
    assert_eq!(values, ["0", "1", "2", "0", "1"]);
    assert!(shouts.iter().all(|it| &it.key[..] == b"oak"));
    assert_eq!(without_repeats(&shouts).len(), 5, "sequences grow");
    assert!(origin(&shouts[0]).0.starts_with("places/"));
    assert_eq!(arrived("whispers", 3).await.len(), 3);
    let told = arrived("seen", 1).await;
    assert_eq!(
        told[0].value.as_deref(),
        Some(&br#"{"place":"oak","seen":1}"#[..])
    );
    until("the outbox is empty", async || {
        let metrics = admins[0].get("/metrics").await;
        let mut lines = metrics.text().lines();
        lines
            .all(|line| !line.starts_with("memgen_outbox_length{") || line.ends_with(" 0"))
            .then_some(())
    })
    .await;
    running.stop().await;
}

/// The topic has three partitions and the state four, and two nodes own these: most events are handed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitioned_otherwise_events_are_handed_over() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("log")).expect("the folder can be written");
    let log = Embedded::open(data.join("log"), Options::default()).expect("a log");
    assert_eq!(log.open_stream("sightings", 3).await.ok(), Some(3));
    log.close().await;
    drop(log);
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..3_u64 {
        let (running, apis, admins) = start(config(&data, 2)).await;
        let mut lines = String::new();
        for number in 0..500 {
            let place = format!("p{}", number % 20);
            writeln!(lines, "{}", json!({"place": place, "count": 1})).expect("a string");
            *expected.entry(place).or_default() += 1;
        }
        let node = &apis[usize::from(round == 1)];
        let reply = post(node, "/_events/sightings", "application/x-ndjson", lines).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        // The first two times it stops in the middle.
        if round == 2 {
            caught_up(&admins, "sightings", 1500).await;
            for (place, count) in &expected {
                assert_eq!(seen(&apis[0], place).await, Some(*count), "{place}");
            }
        }
        running.stop().await;
    }
    assert_eq!(records(&data, "sightings").await.len(), 3);
    let told = records(&data, "seen").await;
    let told: usize = told
        .iter()
        .map(|records| without_repeats(records).len())
        .sum();
    assert!(told <= 1500, "{told}");
}

/// What is to be done in another partition holds up the whole input partition: if its home went on, nobody would come back to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stops_elsewhere_is_not_passed_over() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("log")).expect("the folder can be written");
    let log = Embedded::open(data.join("log"), Options::default()).expect("a log");
    assert_eq!(log.open_stream("tolls", 1).await.ok(), Some(1));
    log.close().await;
    drop(log);
    // The home of the only partition is the first one of the state.
    let is_home = |place: &String| partition(place.as_bytes(), 4) == 0;
    let names = (0..).map(|number| format!("p{number}"));
    let (home, elsewhere) = (
        names.clone().find(is_home).expect("one of four"),
        names
            .clone()
            .find(|it| !is_home(it))
            .expect("three of four"),
    );
    let (running, apis, admins) = start(config(&data, 2)).await;
    let known = json!({"name": home, "seen": 0});
    let put = apis[0].put(&format!("/place/{home}"), &known).await;
    assert_eq!(put.status, 201, "{put:?}");
    let lines: String = [&home, &elsewhere, &home]
        .map(|place| format!("{}\n", json!({"place": place, "count": 1})))
        .concat();
    let reply = post(&apis[0], "/_events/tolls", "application/x-ndjson", lines).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let stopped = until("the input stops", async || {
        let inputs = inputs(&admins, "tolls").await;
        inputs.into_iter().find(|input| input["phase"] == "stopped")
    })
    .await;
    assert_eq!(stopped["position"], 1, "{stopped}");
    assert_eq!(seen(&apis[0], &home).await, Some(1));
    let missing = json!({"name": elsewhere, "seen": 0});
    let put = apis[0].put(&format!("/place/{elsewhere}"), &missing).await;
    assert_eq!(put.status, 201, "{put:?}");
    running.stop().await;

    let (running, apis, admins) = start(config(&data, 2)).await;
    caught_up(&admins, "tolls", 3).await;
    assert_eq!(seen(&apis[0], &elsewhere).await, Some(1));
    assert_eq!(seen(&apis[0], &home).await, Some(2));
    running.stop().await;
}

#[tokio::test]
async fn parts_that_dont_fit_are_refused() {
    #[on_event(topic = "places", key = "place")]
    fn of_a_state(_: &mut Entry<Place>, _: Sighting) {}

    #[on_event(topic = "sightings", key = "place")]
    fn once_more(_: &mut Entry<Place>, _: Sighting) {}

    #[on_event(topic = "others")]
    async fn without_a_state(_: &mut Tx, _: Sighting) {}

    let folder = Folder::new();
    for (service, part) in [
        (memgen::service!(sighted), "`Place` is not a part"),
        (memgen::service!(Place, of_a_state), "is that of the state"),
        (
            memgen::service!(Place, sighted, once_more),
            "both take in `sightings`",
        ),
        (
            memgen::service!(without_a_state),
            "no state that keeps how far",
        ),
    ] {
        let error = service.start(config(folder.path(), 1)).await;
        let error = error.expect_err("it does not fit").to_string();
        assert!(error.contains(part), "{error}");
    }
}
