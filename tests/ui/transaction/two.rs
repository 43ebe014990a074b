use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

#[handler(post, "/remove/{a}")]
async fn remove(tx: &mut Tx, other: &Tx, a: u32) -> Result<NoContent> {
    other.get::<Vertex>(&a).await?;
    tx.delete::<Vertex>(&a)?;
    Ok(NoContent)
}

fn main() {}
