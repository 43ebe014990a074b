use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[handlers(path = "/vertex")]
impl Vertex {
    #[get("/{id}/degree")]
    fn degree(&self) -> usize {
        self.edges.len()
    }
}

fn main() {}
