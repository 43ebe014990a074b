//! Free functions.

use memgen::prelude::*;

/// What handlers may ask for.
#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    #[key]
    id: u32,
}

/// Connects two vertices.
///
/// # Errors
/// None so far.
#[handler(post, "/connect/{a}/{b}")]
pub async fn connect(_vertices: Store<Vertex>, a: u32, b: u32) -> Result<SeeOther> {
    std::future::ready(()).await;
    Ok(SeeOther::to(format!("/vertex/{a}?to={b}")))
}

#[handler(get, "/")]
fn index() -> &'static str {
    "hello"
}

#[handler(put, "/{call}/{operation}/{value}")]
pub(crate) fn names_of_the_macro(call: u8, operation: u8, value: u8, r#type: Json<u8>) -> u8 {
    call + operation + value + r#type.0
}

#[handler(delete, "/everything")]
async fn delete_everything() {
    std::future::ready(()).await;
}
