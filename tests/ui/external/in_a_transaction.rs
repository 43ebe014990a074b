use memgen::prelude::*;

#[external(topic = "rates")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rate {
    #[key]
    currency: String,
    per_euro: f64,
}

#[handler(get, "/half/{currency}")]
async fn half(tx: &Tx, currency: String) -> Result<Json<f64>> {
    let rate = tx.get::<Rate>(&currency).await?;
    let rate = rate.ok_or_else(|| NotFound::new("no such currency"))?;
    Ok(Json(rate.per_euro / 2.0))
}

fn main() {}
