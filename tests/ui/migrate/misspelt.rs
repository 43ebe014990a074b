use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[migrates(from = VertexV1)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    #[key]
    pub id: u32,
    #[migrate(from = u32)]
    pub rank: u64,
}

fn main() {}
