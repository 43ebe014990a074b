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
    #[get("{id}/degree/")]
    async fn degree(self, Json(filter): Json<u32>) -> impl Copy {
        self.edges.len() + filter as usize
    }

    #[post("/{id}/edges")]
    #[put("/{id}/edges")]
    unsafe fn add_edge<T>(entry: Entry<Component>, first: Json<T>, second: &Json<T>) -> Result {
        drop((entry, first, second));
    }

    /// This one is right.
    #[get("/{id}/first")]
    fn first(&self) -> Option<u32> {
        self.edges.first().copied()
    }
}

fn main() {}
