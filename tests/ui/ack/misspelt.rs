use memgen::prelude::*;

#[stateful_api(path = "/vertex", ack(leder, oss, quorum))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

fn main() {}
