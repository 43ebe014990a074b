//! Accounts, and transfers between them that happen as a whole or not at all.
//!
//! Accounts lie in sixteen partitions, which any nodes own. A transfer is a transaction: it reads two accounts and writes both. Whoever adds up accounts in one transaction sees the
//! same total, whatever is transferred meanwhile, and whichever node ends in the middle of it.
//!
//! Transfers are asked for by `POST /transfers`, or come in by the topic `payments`: each of its events is one transfer, once. Each transfer, however it was asked for, is told to the topic `receipts`.

use futures_util::future::try_join_all;
use memgen::prelude::*;

/// An account. What is in it changes by transfers only.
#[stateful_api(
    path = "/accounts",
    topic = "accounts",
    partitions = 16,
    crud(get, list, watch)
)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// The number of the account.
    #[key]
    pub id: u32,
    /// What is in it.
    pub balance: u64,
}

/// A new account.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// What is in it from the start.
    pub balance: u64,
}

/// What is to be transferred.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The account that pays.
    pub from: u32,
    /// The account that is paid.
    pub to: u32,
    /// How much.
    #[schemars(range(min = 1))]
    pub amount: u64,
}

/// A transfer that somebody else has decided upon: an event of the topic `payments`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// What its sender calls it.
    pub id: String,
    /// The account that pays.
    pub from: u32,
    /// The account that is paid.
    pub to: u32,
    /// How much.
    pub amount: u64,
}

/// A transfer that has happened: a record of the topic `receipts`.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    /// That of the payment, or of the transfer alone.
    pub id: String,
    /// The account that has paid.
    pub from: u32,
    /// The account that was paid.
    pub to: u32,
    /// How much.
    pub amount: u64,
}

/// The accounts that are to be added up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Their numbers.
    pub accounts: Vec<u32>,
}

/// What was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Total {
    /// What is in all of them, at one moment.
    pub total: u64,
}

#[handlers]
impl Account {
    /// Opens an account. 409 if there is one with this number.
    #[put("/{id}")]
    fn open(entry: &mut Entry<Self>, opening: Json<Opening>) -> Result<Created<Self>, Conflict> {
        let id = *entry.key();
        if entry.get().is_some() {
            return Err(Conflict::new(format!("there is an account {id}")));
        }
        let account = Self {
            id,
            balance: opening.0.balance,
        };
        Ok(Created::new(entry.insert(account).clone()))
    }
}

/// Transfers an amount from one account to another. 404 if there is no such account, 409 if there is not enough in it.
#[handler(post, "/transfers")]
async fn transfer(tx: &mut Tx, transfer: Json<Transfer>) -> Result<NoContent> {
    pay(tx, Uuid::new_v4().to_string(), transfer.0).await?;
    Ok(NoContent)
}

/// A payment is a transfer. One that can't be made goes to the topic `payments-refused`.
#[on_event(topic = "payments", key = "id", dead_letters = "payments-refused")]
async fn paid(tx: &mut Tx, payment: Payment) -> Result<()> {
    let Payment {
        id,
        from,
        to,
        amount,
    } = payment;
    pay(tx, id, Transfer { from, to, amount }).await
}

async fn pay(tx: &mut Tx, id: String, transfer: Transfer) -> Result<()> {
    let Transfer { from, to, amount } = transfer;
    if amount == 0 || from == to {
        let what = "an amount goes from one account to another";
        return Err(Invalid::new(what).into());
    }
    let mut payer = account(tx, from).await?;
    let mut receiver = account(tx, to).await?;
    payer.balance = payer.balance.checked_sub(amount).ok_or_else(|| {
        Conflict::new(format!("there is only {} in account {from}", payer.balance))
    })?;
    receiver.balance = receiver
        .balance
        .checked_add(amount)
        .ok_or_else(|| Conflict::new(format!("{amount} more does not fit into account {to}")))?;
    tx.put(payer)?;
    tx.put(receiver)?;
    let receipt = Receipt {
        id,
        from,
        to,
        amount,
    };
    tx.emit("receipts", from, &receipt);
    Ok(())
}

/// Adds up accounts, as they are at one moment. 404 if there is no such account.
#[handler(post, "/audit")]
async fn audit(tx: &Tx, audit: Json<Audit>) -> Result<Json<Total>> {
    let accounts = audit.0.accounts.into_iter().map(|id| account(tx, id));
    // All at once: the less time it takes, the less often somebody transfers in between.
    let accounts = try_join_all(accounts).await?;
    let balances = accounts.iter().map(|account| account.balance);
    Ok(Json(Total {
        total: balances.fold(0, u64::saturating_add),
    }))
}

/// The accounts as a page, which follows their feed.
#[handler(get, "/page")]
fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

async fn account(tx: &Tx, id: u32) -> Result<Account> {
    let account = tx.get::<Account>(&id).await?;
    Ok(account.ok_or_else(|| NotFound::new(format!("there is no account {id}")))?)
}

memgen::main!(Account, transfer, paid, audit, page);
