use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vertex {
    #[key]
    id: u32,
}

#[handler(get, "/remove/{a}")]
async fn remove(tx: &mut Tx, a: u32) -> Result<NoContent> {
    tx.delete::<Vertex>(&a)?;
    Ok(NoContent)
}

fn main() {}
