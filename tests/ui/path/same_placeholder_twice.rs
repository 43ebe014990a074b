use memgen::prelude::*;

#[stateful_api(path = "/{a}/{a}/x")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    a: u32,
    #[key]
    b: u32,
}

fn main() {}
