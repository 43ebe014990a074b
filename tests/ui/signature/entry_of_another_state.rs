use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[stateful_api(path = "/component")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Component {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[handlers]
impl Vertex {
    #[post("/{id}/connect")]
    fn connect(entry: &mut Entry<Component>) {
        let _ = entry;
    }
}

fn main() {}
