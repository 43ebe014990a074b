use memgen::prelude::*;

struct Vertex;

fn connect() {}

memgen::main!(Vertex, connect);
