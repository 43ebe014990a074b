use memgen::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    id: u32,
}

#[stateful_api(path = "/vertex")]
impl Vertex {
    fn id(&self) -> u32 {
        self.id
    }
}

fn main() {}
