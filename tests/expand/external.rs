//! What others write, and functions that look things up in it.

use memgen::prelude::*;

/// How much of a currency is worth another one.
#[external(topic = "rates", path = "/rate", crud(get, list))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// The one.
    #[key]
    pub from: String,
    /// The other.
    #[key]
    pub to: String,
    /// How much.
    pub factor: f64,
}

/// What is closed today.
#[external(topic = "closed")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// The bank.
    #[key]
    pub bank: u32,
}

/// What somebody has.
#[stateful_api(path = "/purse")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Purse {
    /// Whose it is.
    #[key]
    pub owner: String,
    /// How much.
    pub amount: f64,
}

#[handlers]
impl Purse {
    /// What it is worth.
    #[get("/{owner}/in/{currency}")]
    fn worth(&self, rates: External<Rate>, currency: String) -> Option<f64> {
        let key = ("EUR".to_owned(), currency);
        Some(self.amount * rates.get(&key)?.factor)
    }
}

/// How many banks are closed, and rates known, to who has a purse.
///
/// # Errors
/// If that can't be read.
#[handler(get, "/closed/{owner}")]
pub async fn closed(
    tx: &Tx,
    closed: External<Closed>,
    rates: External<Rate>,
    owner: String,
) -> Result<Option<usize>> {
    let purse = tx.get::<Purse>(&owner).await?;
    Ok(purse.map(|_| closed.range(..).count() + rates.range(..).count()))
}

/// Something was earned.
#[derive(Clone, Debug, Deserialize)]
pub struct Earned {
    /// By whom.
    pub owner: String,
}

/// Counts it.
#[on_event(topic = "earned", key = "owner")]
pub fn earned(entry: &mut Entry<Purse>, _: Earned, rates: External<Rate>, banks: External<Closed>) {
    if let Some(purse) = entry.get_mut()
        && banks.get(&7).is_none()
    {
        purse.amount += rates.staleness().as_secs_f64();
    }
}

/// Forgets it.
///
/// # Errors
/// If there can't be such a purse.
#[on_event(topic = "lost", key = "owner")]
pub async fn lost(
    tx: &mut Tx,
    event: Earned,
    banks: External<Closed>,
) -> Result<NoContent, NotFound> {
    if banks.get(&7).is_none() {
        let deleted = tx.delete::<Purse>(&event.owner);
        deleted.map_err(|_| NotFound::new("no such purse"))?;
    }
    Ok(NoContent)
}
