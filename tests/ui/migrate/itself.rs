use memgen::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VertexV1 {
    pub id: u32,
}

#[stateful_api(path = "/vertex")]
#[migrate(from = Vertex)]
#[migrate(from = VertexV1)]
#[migrate(from = VertexV1)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    #[key]
    pub id: u32,
}

fn main() {}
