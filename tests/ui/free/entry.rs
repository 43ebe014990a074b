use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[handler(post, "/reset/{id}")]
fn reset(entry: &mut Entry<Vertex>, id: u32) {
    let _ = (entry, id);
}

fn main() {}
