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
    #[get]
    fn degree(&self) -> usize {
        self.edges.len()
    }

    #[post = "/{id}/reset"]
    fn reset(&mut self) {
        self.edges.clear();
    }

    #[put(RESET)]
    fn reset_again(&mut self) {
        self.edges.clear();
    }

    #[delete("/{id}/edges", 204)]
    fn reset_with_status(&mut self) {
        self.edges.clear();
    }
}

fn main() {}
