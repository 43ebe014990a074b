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
    #[get("/{id}/about")]
    fn about(id: u32) -> String {
        format!("vertex {id}")
    }
}

fn main() {}
