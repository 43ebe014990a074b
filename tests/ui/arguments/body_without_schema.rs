use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[derive(Deserialize)]
struct Edge {
    target: u32,
}

#[handlers]
impl Vertex {
    #[post("/{id}/edges")]
    fn add_edge(&mut self, edge: Json<Edge>) {
        self.edges.push(edge.target);
    }
}

fn main() {}
