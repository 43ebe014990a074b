use memgen::prelude::*;

struct Vertex {
    id: usize,
}

#[handlers]
impl Vertex {
    #[get("/{id}/degree")]
    fn degree(&self) -> usize {
        self.id
    }
}

fn main() {}
