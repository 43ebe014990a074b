use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Debug)]
struct Vertex {
    #[key]
    id: u32,
}

fn main() {}
