use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex<'a, T> {
    #[key]
    id: T,
    name: &'a str,
}

fn main() {}
