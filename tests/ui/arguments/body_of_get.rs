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
    #[get("/{id}/edges")]
    fn edges(&self, filter: Json<u32>) -> bool {
        self.edges.contains(&filter.0)
    }
}

fn main() {}
