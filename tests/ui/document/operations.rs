use memgen::contract::prelude::*;

#[derive(Debug, Reply)]
pub enum Done {
    #[reply(204)]
    NoContent,
}

#[operations]
pub trait Api {
    async fn without_id(cx: Cx) -> Result<Done>;

    #[operation(plain)]
    async fn id_without_quotes(cx: Cx) -> Result<Done>;

    #[operation("twice")]
    #[operation("again")]
    async fn two_ids(cx: Cx) -> Result<Done>;

    #[operation("sync")]
    fn not_async(cx: Cx) -> Result<Done>;

    #[operation("self")]
    async fn with_self(&self, cx: Cx) -> Result<Done>;

    #[operation("order")]
    async fn wrong_order(body: String, cx: Cx) -> Result<Done>;

    #[operation("plain")]
    async fn no_result(cx: Cx) -> Done;

    #[operation("written")]
    async fn written_here(cx: Cx) -> Result<Done> {
        Ok(Done::NoContent)
    }
}

#[operations]
pub struct NoTrait;

fn main() {}
