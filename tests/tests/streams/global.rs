//! Global state on three nodes: one owner, and a copy on each node, which answers there.

use memgen_tests::Folder;

use super::{Place, *};

const NODES: usize = 3;

/// What all parts of a service look at.
#[stateful_api(path = "/setting", topic = "settings", global, crud(get, list, put))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Setting {
    #[key]
    name: String,
    value: u64,
}

/// A transaction over both.
#[handler(post, "/see/{name}")]
async fn see(tx: &mut Tx, name: String) -> Result<Json<Place>> {
    let step = tx.get::<Setting>(&"step".to_owned()).await?;
    let step = step.ok_or_else(|| NotFound::new("no step"))?.value;
    let place = tx.get::<Place>(&name).await?;
    let seen = place.map_or(0, |place| place.seen) + step;
    let place = Place { name, seen };
    tx.put(place.clone())?;
    Ok(Json(place))
}

/// What a node is to the only partition of the settings, and how many it knows.
async fn part(admin: &Client) -> (String, u64) {
    let status = admin.get("/status").await.json();
    let mut partitions = status["partitions"].as_array().expect("a list").iter();
    let mut of_settings = partitions.by_ref().filter(|it| it["topic"] == "settings");
    let one = of_settings.next().expect("there is one");
    assert!(of_settings.next().is_none(), "and no other");
    let phase = one["phase"].as_str().expect("text").to_owned();
    (phase, one["keys"].as_u64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_has_a_copy_and_one_writes() {
    let folder = Folder::new();
    let mut config = config(folder.path(), u16::try_from(NODES).expect("a few"));
    // Partitions have no standby; the global state has one at each node all the same.
    config.replicas = 0;
    for round in 1..=2_u64 {
        let service = memgen::service!(Setting, Place, see);
        let (running, apis, admins) = start_service(service, config.clone()).await;

        // Whichever node is asked to write, the owner does; and each answers from its own copy, as new as it is asked for.
        for (number, writer) in apis.iter().enumerate() {
            let path = format!("/setting/s{number}");
            let value = round * 10;
            let written = writer.put(&path, &json!({"value": value})).await;
            assert!([200, 201].contains(&written.status), "{written:?}");
            let position = written.header("memgen-position").expect("it is durable");
            assert!(position.starts_with("settings/0@"), "{position}");
            for reader in &apis {
                let read = reader.request("GET", &path);
                let read = read.header("memgen-read", "replica");
                let read = read.header("memgen-min-position", position).send().await;
                assert_eq!((read.status, &read.json()["value"]), (200, &json!(value)));
            }
        }
        let step = apis[0].put("/setting/step", &json!({"value": 5})).await;
        assert!([200, 201].contains(&step.status), "{step:?}");
        let mut phases = Vec::new();
        for admin in &admins {
            let phase = until("each node has all settings", async || {
                let (phase, keys) = part(admin).await;
                (keys == 4).then_some(phase)
            });
            phases.push(phase.await);
        }
        phases.sort();
        assert_eq!(phases, ["serving", "standby", "standby"]);

        // Transactions over it, at each node.
        for (number, api) in apis.iter().enumerate() {
            let seen = api.post_empty(&format!("/see/p{number}")).await;
            assert_eq!(seen.json()["seen"], 5 * round, "{seen:?}");
        }
        running.stop().await;
    }
}
