//! Accounts: memgen with transactions, and the clients of it and of whoever has the same routes.

use std::{io::Write as _, path::Path};

use memgen::{partitioner::partition, prelude::*};
use memgen_tests::{Client, Random};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    Outcome,
    load::{Exchange, drive, receive, wrong},
    process::announce_and_wait,
    register,
};

/// How many there are: so many that two requests seldom want the same one.
pub(crate) const ACCOUNTS: u32 = 10_000;
/// What is in each: so much that it does not get short.
pub(crate) const OPENING: u64 = 1_000_000_000;
const PARTITIONS: u32 = 16;
/// Accounts that are opened at once.
const OPENED_AT_ONCE: u32 = 100;

/// An account.
#[stateful_api(
    path = "/accounts",
    topic = "accounts",
    partitions = 16,
    crud(get, put)
)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Account {
    #[key]
    id: u32,
    balance: u64,
}

/// What is to be transferred.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Transfer {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) amount: u64,
}

#[handlers]
impl Account {
    /// A plain command.
    #[post("/{id}/deposit")]
    fn pay_in(entry: &mut Entry<Self>) -> Result<NoContent, NotFound> {
        let account = entry.get_mut().ok_or_else(|| NotFound::new("no account"))?;
        account.balance += 1;
        Ok(NoContent)
    }
}

/// The same as a transaction.
#[handler(post, "/deposits/{id}")]
async fn deposit(tx: &mut Tx, id: u32) -> Result<NoContent> {
    let mut account = account(tx, id).await?;
    account.balance += 1;
    tx.put(account)?;
    Ok(NoContent)
}

/// From one account to another, as the example `ledger` does it.
#[handler(post, "/transfers")]
async fn transfer(tx: &mut Tx, transfer: Json<Transfer>) -> Result<NoContent> {
    let Transfer { from, to, amount } = transfer.0;
    let mut payer = account(tx, from).await?;
    let mut receiver = account(tx, to).await?;
    let left = payer.balance.checked_sub(amount);
    payer.balance = left.ok_or_else(|| Conflict::new("there is not enough"))?;
    receiver.balance += amount;
    tx.put(payer)?;
    tx.put(receiver)?;
    Ok(NoContent)
}

async fn account(tx: &Tx, id: u32) -> Result<Account> {
    let account = tx.get::<Account>(&id).await?;
    Ok(account.ok_or_else(|| NotFound::new("no account"))?)
}

/// Opens all accounts and serves them: `FOLDER [BROKERS]`.
pub(crate) fn serve(args: &[String]) -> Outcome<()> {
    let config = match args {
        [folder] => register::config(folder.as_ref()),
        [folder, brokers] => register::on_kafka(Path::new(folder), brokers, 3),
        _ => return Err("a service needs a folder".into()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let running = runtime.block_on(async {
        let service = memgen::service!(Account, deposit, transfer);
        let running = service.start(config).await?;
        running.ready().await?;
        open_all(&Client::new(format!("http://{}", running.nodes()[0].http))).await?;
        Outcome::Ok(running)
    })?;
    announce_and_wait(running.nodes()[0].http);
    runtime.block_on(running.stop());
    Ok(())
}

async fn open_all(client: &Client) -> Outcome<()> {
    for first in (0..ACCOUNTS).step_by(OPENED_AT_ONCE as usize) {
        let opened = (first..first + OPENED_AT_ONCE).map(async |id| {
            let opening = json!({"id": id, "balance": OPENING});
            client.put(&format!("/accounts/{id}"), &opening).await
        });
        for reply in futures_util::future::join_all(opened).await {
            if reply.status != 201 {
                return Err(format!("{reply:?}").into());
            }
        }
    }
    Ok(())
}

/// Which requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Post {
    /// A plain command on one account.
    Command,
    /// A transaction on one account.
    Transaction,
    /// A transfer between any two accounts.
    Transfer,
    /// A transfer between two accounts of different partitions.
    Apart,
}

impl Post {
    const ALL: [(&str, Self); 4] = [
        ("command", Self::Command),
        ("transaction", Self::Transaction),
        ("transfer", Self::Transfer),
        ("apart", Self::Apart),
    ];

    /// As the process that sends them is told.
    pub(crate) fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, post)| *post == self);
        known.map_or("", |(name, _)| name)
    }
}

/// Sends requests for random accounts: `ADDRESS command|transaction|transfer|apart CONNECTIONS SECONDS SEED`. Prints what [`drive`] does.
pub(crate) fn post(args: &[String]) -> Outcome<()> {
    let [address, name, connections, seconds, seed] = args else {
        return Err("a load of posts has five arguments".into());
    };
    let known = Post::ALL.iter().find(|(known, _)| known == name);
    let (_, post) = known.ok_or_else(|| format!("`{name}` is no load"))?;
    let seed: u64 = seed.parse()?;
    drive(connections, seconds, async |number| {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Poster {
            stream,
            post: *post,
            random: Random::from_seed(seed * 1000 + number as u64),
            request: Vec::new(),
            reply: Vec::with_capacity(4096),
        })
    })
}

/// One connection.
struct Poster {
    stream: TcpStream,
    post: Post,
    random: Random,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Poster {
    fn two_accounts(&mut self) -> (u32, u32) {
        let place = |id: u32| partition(id.to_string().as_bytes(), PARTITIONS);
        let from = self.random.below(ACCOUNTS);
        loop {
            let to = self.random.below(ACCOUNTS);
            if from != to && (self.post != Post::Apart || place(from) != place(to)) {
                return (from, to);
            }
        }
    }

    fn write_request(&mut self) -> Outcome<()> {
        self.request.clear();
        let (path, id) = match self.post {
            Post::Command => ("/accounts/", self.random.below(ACCOUNTS)),
            Post::Transaction => ("/deposits/", self.random.below(ACCOUNTS)),
            Post::Transfer | Post::Apart => {
                let (from, to) = self.two_accounts();
                let body = format!("{{\"from\":{from},\"to\":{to},\"amount\":1}}");
                let length = body.len();
                write!(
                    self.request,
                    "POST /transfers HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                )?;
                return Ok(());
            }
        };
        let end = match self.post {
            Post::Command => "/deposit",
            _ => "",
        };
        write!(
            self.request,
            "POST {path}{id}{end} HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n\r\n"
        )?;
        Ok(())
    }
}

impl Exchange for Poster {
    async fn exchange(&mut self) -> Outcome<()> {
        self.write_request()?;
        self.stream.write_all(&self.request).await?;
        receive(&mut self.stream, &mut self.reply).await?;
        if self.reply.starts_with(b"HTTP/1.1 204") {
            return Ok(());
        }
        Err(wrong(&self.reply, &self.request))
    }
}
