//! External state: a topic that others write, and what looks things up in it.

use std::fmt::Write as _;

use memgen_tests::{Folder, Reply};

use super::*;

/// How high a place is, as others say.
#[external(topic = "heights", path = "/height", crud(get, list))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Height {
    #[key]
    place: String,
    metres: u64,
    #[serde(default)]
    named_after: Option<String>,
}

/// How far somebody has climbed.
#[stateful_api(path = "/climber", topic = "climbers", partitions = 4, crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Climber {
    #[key]
    name: String,
    metres: u64,
}

fn climb(entry: &mut Entry<Climber>, heights: &External<Height>, place: &str) -> Result<()> {
    let height = heights.get(&place.to_owned());
    let height = height.ok_or_else(|| NotFound::new("no such place"))?;
    let name = entry.key().clone();
    entry.or_insert_with(|| Climber { name, metres: 0 }).metres += height.metres;
    Ok(())
}

#[handlers]
impl Climber {
    /// Climbs to a place.
    #[post("/{name}/to/{place}")]
    fn to(entry: &mut Entry<Self>, heights: External<Height>, place: String) -> Result<NoContent> {
        climb(entry, &heights, &place)?;
        Ok(NoContent)
    }

    /// Whether it is as high as the highest of the places from this one on.
    #[get("/{name}/has_topped/{place}")]
    fn has_topped(&self, heights: External<Height>, place: String) -> Option<bool> {
        let highest = heights.range(place..).map(|height| height.metres).max()?;
        Some(self.metres >= highest)
    }
}

/// Two climb to a place together.
#[handler(post, "/rope/{one}/{other}/{place}")]
async fn rope(
    tx: &mut Tx,
    heights: External<Height>,
    one: String,
    other: String,
    place: String,
) -> Result<NoContent> {
    for name in [one, other] {
        let up = |entry: &mut Entry<Climber>| climb(entry, &heights, &place);
        tx.update(&name, up).await??;
    }
    Ok(NoContent)
}

/// Somebody was seen at a place.
#[derive(Clone, Debug, Deserialize)]
struct Seen {
    name: String,
    place: String,
}

#[on_event(topic = "tops", key = "name", dead_letters = "nowhere")]
fn topped(entry: &mut Entry<Climber>, seen: Seen, heights: External<Height>) -> Result<()> {
    climb(entry, &heights, &seen.place)
}

#[on_event(topic = "ropes", key = "name", dead_letters = "nowhere")]
async fn roped(tx: &mut Tx, seen: Seen, heights: External<Height>) -> Result<()> {
    let up = |entry: &mut Entry<Climber>| climb(entry, &heights, &seen.place);
    tx.update(&seen.name, up).await?
}

pub(super) fn service() -> memgen::Service {
    memgen::service!(Height, Climber, rope, topped, roped)
}

async fn say(client: &Client, place: &str, value: &Value) {
    let path = format!("/_events/heights?key={place}");
    let reply = client.post(&path, value).await;
    assert_eq!(reply.status, 202, "{reply:?}");
}

/// As the topic is at this moment.
pub(super) async fn strict(client: &Client, path: &str) -> Reply {
    let request = client.request("GET", path);
    request.header("memgen-read", "strict").send().await
}

/// How far somebody has climbed.
pub(super) async fn metres(client: &Client, name: &str) -> Option<u64> {
    let reply = client.get(&format!("/climber/{name}")).await;
    (reply.status == 200).then(|| reply.json()["metres"].as_u64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_say_is_looked_up() {
    let folder = Folder::new();
    let (running, apis, admins) = start_service(service(), config(folder.path(), 2)).await;
    let [one, other] = [&apis[0], &apis[1]];
    say(one, "oak", &json!({"metres": 12})).await;
    // Each node has it, and the key that the value has left out.
    for api in &apis {
        let reply = strict(api, "/height/oak").await;
        let expected = json!({"place": "oak", "metres": 12, "named_after": null});
        assert_eq!((reply.status, reply.json()), (200, expected));
        assert!(reply.header("memgen-staleness-ms").is_some(), "{reply:?}");
        assert_eq!(reply.header("memgen-position"), Some("heights/0@0"));
        let again = api.request("GET", "/height/oak");
        let again = again.header("if-none-match", reply.etag()).send().await;
        assert_eq!(again.status, 304, "{again:?}");
    }
    // Of all that there is, only that.
    for (method, path, status) in [
        ("PUT", "/height/oak", 405),
        ("DELETE", "/height/oak", 405),
        ("POST", "/height", 405),
        ("GET", "/height/elm", 404),
        ("GET", "/height?limit=0", 400),
    ] {
        let reply = one.request(method, path).json(&json!({})).send().await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
    let wrong = one
        .post("/_events/heights?key=elm", &json!({"metres": "high"}))
        .await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    let keyless = one.post("/_events/heights", &json!({"metres": 1})).await;
    assert_eq!(keyless.status, 422, "{keyless:?}");

    // By commands, transactions, events, and in an answer.
    let reply = one.post_empty("/climber/ann/to/oak").await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let reply = other.post_empty("/rope/ann/bob/oak").await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let reply = other.post_empty("/rope/ann/bob/elm").await;
    assert_eq!(reply.status, 404, "{reply:?}");
    for topic in ["tops", "ropes"] {
        for place in ["oak", "elm"] {
            let event = json!({"name": "ann", "place": place});
            let reply = one.post(&format!("/_events/{topic}"), &event).await;
            assert_eq!(reply.status, 202, "{reply:?}");
        }
        caught_up(&admins, topic, 2).await;
    }
    assert_eq!(metres(one, "ann").await, Some(48));
    assert_eq!(metres(other, "bob").await, Some(12));
    until("both that were nowhere are dead letters", async || {
        let letters = records(folder.path(), "nowhere").await;
        (letters.concat().len() == 2).then_some(())
    })
    .await;
    let topped = other.get("/climber/ann/has_topped/a").await;
    assert_eq!(topped.json(), json!(true), "{topped:?}");

    // What goes is gone, and what can't be read has no value, whatever was there before.
    say(one, "elm", &json!({"metres": 9, "named_after": "Elma"})).await;
    say(one, "ash", &json!({"metres": 7})).await;
    say(one, "oak", &Value::Null).await;
    let spoilt = one.request("POST", "/_events/heights?key=ash");
    let spoilt = spoilt.header("content-type", "application/octet-stream");
    assert_eq!(spoilt.body("tall").send().await.status, 202);
    for api in &apis {
        assert_eq!(strict(api, "/height/ash").await.status, 404);
        assert_eq!(strict(api, "/height/oak").await.status, 404);
        let all = strict(api, "/height").await.json();
        assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "{all}");
    }
    for admin in &admins {
        let status = admin.get("/status").await.json();
        let view = &status["externals"][0];
        assert_eq!(
            (&view["name"], &view["keys"]),
            (&json!("Height"), &json!(1))
        );
        let inputs = status["inputs"].as_array().expect("a list").iter();
        let input: Vec<_> = inputs.filter(|it| it["topic"] == "heights").collect();
        assert_eq!((input.len(), &input[0]["skipped"]), (1, &json!(1)));
        assert_eq!(input[0]["phase"], "reading");
        let last = input[0]["last_skipped"].as_str().expect("text");
        assert!(last.starts_with("at offset 4: "), "{last}");
        let metrics = admin.get("/metrics").await;
        let metric =
            r#"memgen_input_skipped_total{function="Height",partition="0",topic="heights"} 1"#;
        assert!(metrics.text().lines().any(|line| line == metric));
    }
    running.stop().await;

    // It is read anew.
    let (running, apis, _) = start_service(service(), config(folder.path(), 1)).await;
    let reply = apis[0].get("/height/elm").await;
    assert_eq!(reply.json()["named_after"], "Elma", "{reply:?}");
    assert_eq!(apis[0].get("/height/ash").await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_feeds_it_and_its_pages_are_in_order() {
    let folder = Folder::new();
    let file = folder.path().join("heights.jsonl");
    let mut lines = String::new();
    for number in 0..25 {
        let line = json!({"topic": "heights", "key": format!("h{number:02}"), "value": {"metres": number}});
        writeln!(lines, "{line}").expect("a string");
    }
    lines.push_str(r#"{"topic": "heights", "key": "h07", "value": null}"#);
    std::fs::write(&file, &lines).expect("the folder can be written");
    let mut config = config(&folder.path().join("data"), 1);
    config.replay = Some(file);
    for _ in 0..2 {
        let (running, apis, admins) = start_service(service(), config.clone()).await;
        until("the file was read", async || {
            let status = admins[0].get("/status").await.json();
            let inputs = status["inputs"].as_array().expect("a list").clone();
            let input = inputs.iter().find(|it| it["topic"] == "heights")?;
            (input["position"] == 26).then_some(())
        })
        .await;
        let (mut path, mut seen) = ("/height?limit=10&prefix=h".to_owned(), Vec::new());
        loop {
            let page = apis[0].get(&path).await.json();
            let items = page["items"].as_array().expect("a list").iter();
            seen.extend(items.map(|item| item["metres"].as_u64().expect("a number")));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("/height?limit=10&prefix=h&after={next}");
        }
        let expected: Vec<_> = (0..25).filter(|number| *number != 7).collect();
        assert_eq!(seen, expected);
        let few = apis[0].get("/height?prefix=h1").await.json();
        assert_eq!(few["items"].as_array().map(Vec::len), Some(10), "{few}");
        running.stop().await;
    }
}

#[tokio::test]
async fn parts_that_are_missing_are_named() {
    /// A state's own.
    #[external(topic = "climbers")]
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Copied {
        #[key]
        name: String,
    }

    let folder = Folder::new();
    for (service, part) in [
        (memgen::service!(Climber), "`Climber` uses `Height`"),
        (memgen::service!(rope), "`rope` uses `Height`"),
        (memgen::service!(Climber, topped), "`topped` uses `Height`"),
        (memgen::service!(Climber, roped), "`roped` uses `Height`"),
        (
            memgen::service!(Height, Climber, Copied),
            "is that of the state",
        ),
    ] {
        let error = service.start(config(folder.path(), 1)).await;
        let error = error.expect_err("it does not fit").to_string();
        assert!(error.contains(part), "{error}");
    }
}
