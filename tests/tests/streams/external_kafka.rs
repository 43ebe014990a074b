//! External state of a topic of Kafka that strangers write.

use futures_util::future::join_all;
use memgen::config::LogChoice;
use memgen_tests::Folder;

use super::{
    external::{metres, service, strict},
    kafka::Strangers,
    *,
};

const NODES: u16 = 3;

fn on_kafka(strangers: &Strangers, data: &Path) -> Config {
    let mut config = config(data, NODES);
    config.log = LogChoice::Kafka(strangers.addresses());
    config.kafka.replication_factor = 1;
    // What a read waits in vain.
    config.limits.request_timeout = Duration::from_secs(20);
    config
}

async fn say(strangers: &Strangers, place: u32, metres: u32) {
    let partition = i32::try_from(place % 3).expect("a few");
    let value = json!({"metres": metres}).to_string();
    strangers
        .send("heights", partition, &format!("h{place}"), &value)
        .await;
}

/// What a node shows of all places, by pages.
async fn all(client: &Client) -> BTreeMap<String, u64> {
    let (mut path, mut seen) = ("/height?limit=7".to_owned(), BTreeMap::new());
    loop {
        let page = strict(client, &path).await.json();
        for item in page["items"].as_array().expect("a list") {
            let place = item["place"].as_str().expect("text").to_owned();
            let before = seen.insert(place, item["metres"].as_u64().expect("a number"));
            assert_eq!(before, None, "each once");
        }
        let Some(next) = page["next"].as_str() else {
            return seen;
        };
        path = format!("/height?limit=7&after={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_of_strangers_is_at_each_node() {
    let mut strangers = Strangers::start();
    let folder = Folder::new();
    let missing = service().start(on_kafka(&strangers, folder.path())).await;
    let missing = missing.expect_err("nobody has made the topic").to_string();
    assert!(missing.contains("there is no topic `heights`"), "{missing}");
    assert!(missing.contains("kafka-topics.sh"), "{missing}");

    strangers.make("heights", 3).await;
    for place in 0..30 {
        say(&strangers, place, place).await;
    }
    let config = on_kafka(&strangers, folder.path());
    let (running, apis, admins) = start_service(service(), config.clone()).await;
    let mut expected: BTreeMap<_, _> = (0..30).map(|at| (format!("h{at}"), at)).collect();
    // It is ready, so all of it is there, also for who does not ask for more.
    for api in &apis {
        assert_eq!(api.get("/height/h29").await.json()["metres"], 29);
        assert_eq!(all(api).await, expected);
    }
    for (number, api) in apis.iter().enumerate() {
        let place = 20 + u32::try_from(number).expect("a few");
        say(&strangers, place, 100).await;
        expected.insert(format!("h{place}"), 100);
        strangers
            .delete("heights", number, &format!("h{number}"))
            .await;
        expected.remove(&format!("h{number}"));
        for reader in &apis {
            assert_eq!(all(reader).await, expected);
            let gone = reader.get(&format!("/height/h{number}")).await;
            assert_eq!(gone.status, 404, "{gone:?}");
        }
        let path = format!("/climber/c{number}/to/h{place}");
        let climbed = api.post_empty(&path).await;
        assert_eq!(climbed.status, 204, "{climbed:?}");
        let path = format!("/rope/c{number}/d{number}/h10");
        let climbed = api.post_empty(&path).await;
        assert_eq!(climbed.status, 204, "{climbed:?}");
        assert_eq!(metres(api, &format!("c{number}")).await, Some(110));
        assert_eq!(metres(api, &format!("d{number}")).await, Some(10));
    }
    let height = json!({"metres": 1});
    let by_http = apis[0].post("/_events/heights?key=k", &height).await;
    assert_eq!(by_http.status, 404, "{by_http:?}");

    while_the_broker_is_away(&mut strangers, &apis[0], &admins[0]).await;
    expected.insert("h5".to_owned(), 555);
    for api in &apis {
        assert_eq!(all(api).await, expected);
    }
    running.stop().await;

    // Each start reads it anew.
    let (running, apis, admins) = start_service(service(), config).await;
    for api in &apis {
        assert_eq!(all(api).await, expected);
    }
    // Of a topic that is made anew, all that was there before goes.
    strangers.unmake("heights").await;
    strangers.make("heights", 3).await;
    for place in 50..56 {
        say(&strangers, place, place).await;
    }
    let expected: BTreeMap<_, _> = (50..56).map(|at| (format!("h{at}"), at)).collect();
    for (api, admin) in apis.iter().zip(&admins) {
        until("what was before goes", async || {
            let page = api.get("/height").await.json();
            let items = page["items"].as_array()?;
            (items.len() == expected.len()).then_some(())
        })
        .await;
        assert_eq!(all(api).await, expected);
        let seen: Vec<_> = inputs(std::slice::from_ref(admin), "heights").await;
        let positions = seen
            .iter()
            .map(|it| it["position"].as_u64().expect("a number"));
        assert_eq!(positions.sum::<u64>(), 6, "{seen:?}");
    }
    running.stop().await;
}

/// It goes on with what it has, and says how old that is.
async fn while_the_broker_is_away(strangers: &mut Strangers, api: &Client, admin: &Client) {
    strangers.broker().pause().expect("it is there");
    until("what it shows grows old", async || {
        let read = api.get("/height/h29").await;
        assert_eq!((read.status, &read.json()["metres"]), (200, &json!(29)));
        let age = read.header("memgen-staleness-ms").expect("it is known");
        let age: u64 = age.parse().expect("a number");
        (age > 2000).then_some(())
    })
    .await;
    let status = admin.get("/status").await.json();
    let age = &status["externals"][0]["staleness_ms"];
    assert!(age.as_u64() > Some(2000), "{status}");
    let in_vain = [
        ("memgen-read", "strict"),
        ("memgen-max-staleness-ms", "500"),
        ("memgen-min-position", "heights/2@1000000"),
    ];
    let in_vain = in_vain.map(|(name, value)| async move {
        let read = api.request("GET", "/height/h29").header(name, value);
        let read = read.send().await;
        assert_eq!(read.status, 503, "{name}: {read:?}");
    });
    join_all(in_vain).await;
    strangers.broker().resume().expect("it is there");
    say(strangers, 5, 555).await;
    let mut last: Option<String> = None;
    let read = until("it is up to date again", async || {
        let read = strict(api, "/height/h5").await;
        if read.status != 200 && last.as_deref() != Some(read.text()) {
            println!("strict: {read:?}");
            last = Some(read.text().to_owned());
        }
        (read.status == 200).then_some(read)
    })
    .await;
    assert_eq!(read.json()["metres"], 555);
}
