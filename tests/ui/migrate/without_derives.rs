use memgen::prelude::*;

pub struct VertexV1 {
    pub id: u32,
}

#[stateful_api(path = "/vertex")]
#[migrate(from = VertexV1)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    #[key]
    pub id: u32,
}

impl From<VertexV1> for Vertex {
    fn from(old: VertexV1) -> Self {
        Self { id: old.id }
    }
}

fn main() {}
