use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[migrate]
#[migrate()]
#[migrate(VertexV1)]
#[migrate(from)]
#[migrate(from = )]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    #[key]
    pub id: u32,
}

fn main() {}
