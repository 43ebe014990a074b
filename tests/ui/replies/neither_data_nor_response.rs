use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

struct Edge {
    target: u32,
}

#[handlers]
impl Vertex {
    #[get("/{id}/edge")]
    fn edge(&self) -> Option<Edge> {
        self.edges.first().map(|target| Edge { target: *target })
    }
}

fn main() {}
