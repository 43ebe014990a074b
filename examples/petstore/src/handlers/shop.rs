//! The operations of the tag `shop` that the document alone does not answer: those that change the stock.
//!
//! An order changes two entities, each of them atomically and one after the other. The stock comes first, so that nothing is
//! sold twice: a crash in between leaves goods set aside for an order that was never acknowledged.

use memgen::Entry;

use crate::generated::{
    shop::*,
    states::{OrderState, ProductState},
};

/// Who answers.
#[derive(Debug)]
pub struct Handlers;

#[operations]
impl ShopApi for Handlers {
    async fn place_order(cx: Cx, body: Json<NewOrder>) -> Result<PlaceOrderReply> {
        let Json(NewOrder {
            customer,
            sku,
            quantity,
        }) = body;
        let take = move |entry: &mut Entry<ProductState>| {
            let product = entry.get_mut();
            let product = product.ok_or_else(|| {
                Invalid::new("there is no such product").with_error("/sku", "is not sold here")
            })?;
            if product.stock < quantity {
                return Ok(Err(product.stock));
            }
            product.stock -= quantity;
            Ok(Ok(product.price))
        };
        let taken = cx.store::<ProductState>().update(sku.clone(), take).await?;
        let price = match taken {
            Ok(price) => price,
            Err(stock) => return Ok(PlaceOrderReply::Conflict(Shortage { sku, stock })),
        };
        let id = Uuid::now_v7();
        let order = Order {
            id: Some(id),
            status: OrderStatus::Placed,
            total: price * Decimal::from(quantity),
            placed_at: now(),
            customer,
            sku,
            quantity,
        };
        let placed = order.clone();
        let keep = move |entry: &mut Entry<OrderState>| {
            entry.insert(OrderState {
                order_id: id,
                order: placed.clone(),
            });
            Ok(())
        };
        cx.store::<OrderState>().update(id, keep).await?;
        Ok(PlaceOrderReply::Created(order))
    }

    async fn cancel_order(cx: Cx, parameters: CancelOrderParameters) -> Result<CancelOrderReply> {
        let cancel = |entry: &mut Entry<OrderState>| {
            let order = entry.get_mut();
            let order = order.ok_or_else(|| NotFound::new("there is no such order"))?;
            let first = order.status == OrderStatus::Placed;
            order.status = OrderStatus::Cancelled;
            Ok((order.order.clone(), first))
        };
        let orders = cx.store::<OrderState>();
        let (order, first) = orders.update(parameters.order_id, cancel).await?;
        if first {
            let quantity = order.quantity;
            let back = move |entry: &mut Entry<ProductState>| {
                // What is not sold any more needs no stock.
                if let Some(product) = entry.get_mut() {
                    product.stock = product.stock.saturating_add(quantity);
                }
                Ok(())
            };
            let products = cx.store::<ProductState>();
            products.update(order.sku.clone(), back).await?;
        }
        Ok(CancelOrderReply::Ok(order))
    }
}
