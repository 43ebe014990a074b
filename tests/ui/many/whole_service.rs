use memgen::prelude::*;

#[stateful_api(path = "/vertex", crud(fetch))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    id: u32,
}

#[handlers]
impl Vertex {
    #[get("/{id}/next")]
    fn next(self) -> u32 {
        self.id + 1
    }

    #[get("/{id}/previous")]
    fn previous(&self) -> u32 {
        self.id - 1
    }
}

#[handler(get, "/first/{id}")]
async fn first(vertices: Store<Vertex>) {
    drop(vertices);
}

memgen::main!(Vertex, first);
