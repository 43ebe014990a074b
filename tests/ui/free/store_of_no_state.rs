use memgen::prelude::*;

struct Vertex;

#[handler(get, "/a")]
async fn a(vertices: Store<Vertex>) {
    drop(vertices);
}

fn main() {}
