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
    #[get("/{id/a")]
    fn unclosed(&self) -> u32 {
        self.id
    }

    #[get("/{}/a")]
    fn nameless(&self) -> u32 {
        self.id
    }

    #[get("/{*rest}")]
    fn wildcard(&self) -> u32 {
        self.id
    }

    #[get("/v{id}")]
    fn prefixed(&self) -> u32 {
        self.id
    }

    #[get("/{id:u32}/b")]
    fn typed(&self) -> u32 {
        self.id
    }

    #[get("/{id}/a b?c")]
    fn characters(&self) -> u32 {
        self.id
    }
}

fn main() {}
