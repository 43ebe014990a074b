use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

#[handler(post, "/remove/{a}")]
async fn remove(tx: &mut Tx, vertices: Store<Vertex>, a: u32) -> Result<NoContent> {
    vertices.remove(a).await?;
    tx.delete::<Vertex>(&a)?;
    Ok(NoContent)
}

fn main() {}
