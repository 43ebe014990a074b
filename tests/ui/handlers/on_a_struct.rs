use memgen::prelude::*;

#[handlers]
struct Vertex {
    id: u32,
}

fn main() {}
