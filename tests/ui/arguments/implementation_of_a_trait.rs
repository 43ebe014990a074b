use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[handlers]
impl Vertex {
    #[get("/{id}/edge/{target}")]
    fn edge(&self, target: impl Into<u32>) -> bool {
        self.edges.contains(&target.into())
    }
}

fn main() {}
