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
    #[post("/{id}/edges/{target}")]
    fn add_edge(&mut self, target: &str, label: &Json<u32>) -> bool {
        target.is_empty() || self.edges.contains(&label.0)
    }
}

fn main() {}
