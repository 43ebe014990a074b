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
    #[get("/{id}/degree")]
    fn degree(self) -> usize {
        self.edges.len()
    }

    #[post("/{id}/reset")]
    fn reset(mut self) {
        self.edges.clear();
    }

    #[get("/{id}/first")]
    fn first(self: Box<Self>) -> Option<u32> {
        self.edges.first().copied()
    }
}

fn main() {}
