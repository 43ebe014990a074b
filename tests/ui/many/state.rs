use memgen::prelude::*;

#[stateful_api(path = "vertex/", topics = "a b", partitions = "4", crud(gett, list, list))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex<T> {
    #[key(first)]
    weight: f64,
    #[partition_by]
    component: T,
    #[kye]
    name: String,
}

fn main() {}
