use memgen::prelude::*;

struct Vertex<T>(T);

#[handlers]
impl<T> Vertex<T> {
    #[get("/{id}/degree")]
    fn degree(&self) -> usize {
        0
    }
}

fn main() {}
