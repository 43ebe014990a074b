use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
enum Vertex {
    Inner {
        #[key]
        id: u32,
    },
    Leaf,
}

fn main() {}
