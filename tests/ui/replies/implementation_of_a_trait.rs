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
    fn edges(&self) -> impl Iterator<Item = u32> {
        self.edges.clone().into_iter()
    }
}

fn main() {}
