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
    #[post("/{id}/edges")]
    fn add_edge(&mut self, Json(edge): Json<u32>) {
        self.edges.push(edge);
    }
}

fn main() {}
