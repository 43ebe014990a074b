use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
union Vertex {
    #[key]
    id: u32,
    bytes: [u8; 4],
}

fn main() {}
