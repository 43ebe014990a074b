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
    #[post("/{id}/parse")]
    fn parse(&mut self, text: Json<String>) -> Result<u32, std::num::ParseIntError> {
        self.id = text.parse()?;
        Ok(self.id)
    }
}

fn main() {}
