use memgen::contract::prelude::*;

#[derive(Debug, Reply)]
pub enum Done {
    #[reply(204)]
    NoContent,
}

pub mod shop {
    use super::*;

    #[operations]
    pub trait ShopApi {
        #[operation("placeOrder")]
        async fn place_order(cx: Cx, body: Json<Option<String>>) -> Result<Done>;

        #[operation("cancelOrder")]
        async fn cancel_order(cx: Cx) -> Result<Done>;

        #[operation("restock")]
        async fn restock(cx: Cx, body: String) -> Result<Done>;
    }
}

use shop::ShopApi;

pub struct Handlers;

#[operations]
impl ShopApi for Handlers {
    // The operation and the types that it had are gone.
    async fn count_orders(_: Cx, _: CountOrdersParameters) -> Result<CountOrdersReply> {
        Ok(CountOrdersReply::Ok(1))
    }

    async fn cancel_orders(_: Cx) -> Result<Done> {
        Ok(Done::NoContent)
    }

    async fn place_order(_: Cx, _: PlaceOrderParameters, _: Json<Option<String>>) -> Result<Done> {
        Ok(Done::NoContent)
    }

    // What it takes is another type now.
    async fn restock(_: Cx, _: Bytes) -> Result<Done> {
        Ok(Done::NoContent)
    }
}

#[operations]
impl Handlers {}

fn main() {}
