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
    #[get("/{id}/a")]
    const fn constant(&self) -> u32 {
        self.id
    }

    #[get("/{id}/b")]
    unsafe fn not_safe(&self) -> u32 {
        self.id
    }

    #[get("/{id}/c")]
    extern "C" fn foreign(&self) -> u32 {
        self.id
    }

    #[post("/{id}/d")]
    fn generic<T>(&self, body: Json<T>) -> u32 {
        drop(body);
        self.id
    }

    #[get("/{id}/e")]
    fn lifetime<'a>(&'a self) -> &'a [u32] {
        &self.edges
    }
}

fn main() {}
