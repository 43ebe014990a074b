//! Events in a simulation, while there is no room for what they do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    log::TopicPartition,
    prelude::*,
    testing::{Cluster, Simulation},
};

/// Where somebody is, and how often he was told to go.
#[stateful_api(path = "/places", partitions = 4, crud(get, put))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Place {
    #[key]
    name: String,
    visits: u64,
}

#[handlers]
impl Place {
    /// Tells somebody to go to other places.
    #[post("/{name}/trips")]
    fn tell(entry: &mut Entry<Self>, trip: Json<Trip>) {
        let name = entry.key().clone();
        entry.emit("trips", &name, &trip.0);
        entry.emit("calls", &trip.0.to[0], &trip.0);
    }
}

/// To each of them once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Trip {
    to: Vec<String>,
}

fn visit(entry: &mut Entry<Place>) {
    let name = entry.key().clone();
    entry.or_insert_with(|| Place { name, visits: 0 }).visits += 1;
}

#[on_event(topic = "trips", dead_letters = "lost-trips")]
async fn go(tx: &mut Tx, trip: Trip) -> Result<()> {
    for place in &trip.to {
        tx.update(place, visit).await?;
    }
    Ok(())
}

#[on_event(topic = "calls", dead_letters = "lost-calls")]
fn call(entry: &mut Entry<Place>, _call: Trip) {
    visit(entry);
}

async fn visits(cluster: &Cluster, place: &str) -> u64 {
    let get = cluster.node(0).get(&format!("/places/{place}")).await;
    let place = get.json::<Value>();
    place["visits"].as_u64().unwrap_or_default()
}

#[test]
fn events_wait_while_the_log_is_full() {
    for seed in 0..10 {
        Simulation::new(seed).run(async |world| {
            let service = || crate::service!(Place, go, call);
            let cluster = world.cluster(service, 2).await;
            let places = ["a", "b", "c", "d", "e", "f"];
            for from in 0..6 {
                let trip = json!({ "to": [places[from], places[(from + 1) % 6]] });
                let path = format!("/places/home{from}/trips");
                cluster.node(0).post(&path).json(&trip).await.expect(204);
                // Some of it is on its way.
                world.advance(Duration::from_millis(seed)).await;
            }
            cluster.log().set_full(true);
            world.advance(Duration::from_secs(20)).await;
            cluster.log().set_full(false);
            cluster.ready().await;
            world.advance(Duration::from_secs(20)).await;
            for place in places {
                assert_eq!(visits(&cluster, place).await, 3, "seed {seed}: {place}");
            }
            for topic in ["lost-trips", "lost-calls"] {
                let lost = (0..4).map(|number| TopicPartition::new(topic, number));
                let lost = lost.map(|partition| world.log().history(&partition).len());
                assert_eq!(lost.sum::<usize>(), 0, "seed {seed}: {topic}");
            }
        });
    }
}
