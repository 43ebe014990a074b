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
    fn edge(&self, path: axum::extract::Path<u32>) -> bool {
        self.edges.contains(&path.0)
    }
}

fn main() {}
