use memgen::prelude::*;

type Result<T = usize> = memgen::Result<T>;

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
    fn edges(&self) -> Result {
        Ok(self.edges.len())
    }
}

fn main() {}
