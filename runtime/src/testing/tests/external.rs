//! External state in a simulation: nodes follow a topic, and go on with what they have while the log is away.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{
    prelude::*,
    testing::{Cluster, Faults, Simulation},
};

/// What somebody says, which is emitted.
#[stateful_api(path = "/voices", partitions = 2, crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Voice {
    #[key]
    who: String,
    words: u64,
}

#[handlers]
impl Voice {
    /// Says so many words.
    #[post("/{who}/{words}")]
    fn says(entry: &mut Entry<Self>, words: u64) {
        let who = entry.key().clone();
        entry.insert(Voice {
            who: who.clone(),
            words,
        });
        entry.emit("said", who, &json!({ "words": words }));
    }
}

/// What was heard of it, at each node.
#[external(topic = "said", path = "/heard", crud(get, list))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Heard {
    #[key]
    who: String,
    words: u64,
}

fn service() -> crate::Service {
    crate::service!(Voice, Heard)
}

async fn say(cluster: &Cluster, node: usize, who: &str, words: u64) {
    let path = format!("/voices/{who}/{words}");
    let said = cluster.node(node).post(&path).once(format!("{who}{words}"));
    said.await.expect(204);
}

/// All that a node shows, as the topic is at this moment.
async fn heard(cluster: &Cluster, node: usize) -> Option<BTreeMap<String, u64>> {
    let strict = cluster.node(node).get("/heard");
    let reply = strict
        .header("memgen-read", "strict")
        .try_send()
        .await
        .ok()?;
    let page: Value = (reply.status() == 200).then(|| reply.json())?;
    let items = page["items"].as_array()?.iter();
    items
        .map(|item| Some((item["who"].as_str()?.to_owned(), item["words"].as_u64()?)))
        .collect()
}

#[test]
fn each_node_hears_all_of_it_over_crashes_and_cuts() {
    for seed in 1..=20 {
        Simulation::new(seed)
            .faults(Faults {
                // Who else writes to the topic may say anything.
                foreign: 0.0,
                ..Faults::some()
            })
            .run(async |world| {
                let cluster = world.cluster(service, 3).await;
                let mut expected = BTreeMap::new();
                for number in 0..6_u64 {
                    let who = format!("w{}", number % 4);
                    let node = usize::try_from(number % 3).unwrap();
                    say(&cluster, node, &who, number).await;
                    expected.insert(who, number);
                    if number == 2 {
                        cluster.crash(0);
                        cluster.restart(0);
                        cluster.ready().await;
                    }
                }
                // It arrives at some time after it was said.
                for node in 0..3 {
                    while heard(&cluster, node).await.as_ref() != Some(&expected) {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                // A node that does not reach the log shows what it has, and how old that is.
                cluster.cut_off_from_log(2, true);
                tokio::time::sleep(Duration::from_secs(10)).await;
                let plain = cluster.node(2).get("/heard/w0").await.expect(200);
                let age = plain.header("memgen-staleness-ms").unwrap();
                assert!(age.parse::<u64>().unwrap() > 5000, "{age}");
                cluster.cut_off_from_log(2, false);
                while heard(&cluster, 2).await.as_ref() != Some(&expected) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
    }
}
