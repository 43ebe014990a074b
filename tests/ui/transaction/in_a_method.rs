use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

#[handlers]
impl Vertex {
    #[post("/{id}/split")]
    fn split(&mut self, tx: &mut Tx) -> bool {
        drop(tx);
        self.id > 0
    }
}

fn main() {}
