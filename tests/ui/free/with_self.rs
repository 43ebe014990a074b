use memgen::prelude::*;

struct Graph;

impl Graph {
    #[handler(get, "/degree")]
    fn degree(&self) -> usize {
        0
    }
}

fn main() {}
