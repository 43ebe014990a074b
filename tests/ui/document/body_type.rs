use memgen::contract::prelude::*;

#[derive(Debug, Reply)]
pub enum Done {
    #[reply(204)]
    NoContent,
}

pub struct Photo;

#[operations]
pub trait Api {
    #[operation("photo")]
    async fn photo(cx: Cx, body: Photo) -> Result<Done>;
}

fn main() {}
