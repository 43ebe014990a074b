use memgen::prelude::*;

#[stateful_api(path = "/place")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Place {
    #[key]
    name: String,
    seen: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Sighting {
    place: String,
    count: u64,
}

#[on_event(topic = "sightings", key = "place", format = "avro")]
fn sighted(entry: &mut Entry<Place>, sighting: Sighting) {}

fn main() {}
