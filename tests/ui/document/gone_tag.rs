use memgen::contract::prelude::*;

pub mod shop {
    use super::*;

    // The generator leaves it as long as the user's file is there.
    #[operations]
    pub trait ShopApi {}
}

use shop::ShopApi;

pub struct Handlers;

#[operations]
impl ShopApi for Handlers {
    async fn count_orders(_: Cx, _: CountOrdersParameters) -> Result<CountOrdersReply> {
        Ok(CountOrdersReply::Ok(1))
    }

    async fn cancel_order(_: Cx) -> Result<()> {
        Ok(())
    }
}

fn main() {}
