use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[handlers]
impl Vertex {
    #[post("/{id}/reset")]
    fn reset(entry: Entry<Self>) {
        drop(entry);
    }

    #[post("/{id}/touch")]
    fn touch(entry: &Entry<Self>) {
        let _ = entry;
    }
}

fn main() {}
