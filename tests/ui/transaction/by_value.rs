use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

#[handler(post, "/connect/{a}")]
async fn connect(tx: Tx, a: u32) -> Result<NoContent> {
    tx.delete::<Vertex>(&a)?;
    Ok(NoContent)
}

fn main() {}
