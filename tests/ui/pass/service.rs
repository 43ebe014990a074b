use memgen::prelude::*;

#[stateful_api(path = "/vertex", crud(get, list))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
    edges: Vec<u32>,
}

#[handlers]
impl Vertex {
    #[get("/{id}/degree")]
    fn degree(&self) -> usize {
        self.edges.len()
    }

    #[post("/{id}/edges")]
    fn add_edge(entry: &mut Entry<Self>, edge: Json<u32>) -> Result<Created<u32>, Conflict> {
        if entry.get().is_some_and(|vertex| vertex.edges.contains(&edge.0)) {
            return Err(Conflict::new("there is such an edge"));
        }
        Ok(Created::new(edge.0))
    }
}

#[handler(post, "/connect/{a}/{b}")]
async fn connect(vertices: Store<Vertex>, a: u32, b: u32) -> Result<SeeOther> {
    vertices.get(&b).await?;
    Ok(SeeOther::to(format!("/vertex/{a}")))
}

// Without `memgen::main!`, which would serve.
fn main() {
    let _ = memgen::service!(Vertex, connect);
}
