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
    fn add_edges(&mut self, first: Json<u32>, second: Json<u32>) {
        self.edges.extend([first.0, second.0]);
    }
}

fn main() {}
