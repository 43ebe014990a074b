use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[migrate(from = "VertexV1")]
#[migrate(to = VertexV1)]
#[migrate(from = VertexV1, VertexV2)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    #[key]
    pub id: u32,
}

fn main() {}
