//! A load on the example `ledger`, and what must come of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    Client, Places, Random,
    crowd::{Crowd, Tally, Told},
    insist::insist,
};

/// Accounts whose clients repeat a transfer until they know what became of it.
pub const ACCOUNTS: u32 = 12;
/// As many besides, whose clients ask once and without an id: of these only the sum is known.
const ALL: u32 = 2 * ACCOUNTS;
/// What is in each account at first.
pub const OPENING: u64 = 1000;
const TOTAL: u64 = ALL as u64 * OPENING;

/// Accounts that are opened at once.
const OPENED_AT_ONCE: usize = 16;
const CAREFUL: usize = 16;
const CARELESS: usize = 4;
const AUDITORS: usize = 4;
/// A client rests for less than that between two requests.
const REST_MS_MAX: u32 = 10;

/// What they were told.
#[derive(Debug, Default)]
pub struct Done {
    /// Transfers that happened: from, to, amount.
    transfers: Vec<(u32, u32, u64)>,
    /// How long each transfer took whose client knows what became of it, also those that were refused.
    pub waits: Vec<Duration>,
    /// How long each audit took.
    pub audits: Vec<Duration>,
    /// What must not be.
    pub wrong: Vec<String>,
}

/// A transfer as it is asked for.
#[must_use]
pub fn transfer(from: u32, to: u32, amount: u64) -> Value {
    json!({"from": from, "to": to, "amount": amount})
}

/// Opens accounts, from 0 on, at a node whose service is all there.
pub async fn open_accounts(client: &Client, count: u32, balance: u64) {
    let open = async |id: u32| {
        let opening = json!({"balance": balance});
        let opened = client.put(&format!("/accounts/{id}"), &opening).await;
        assert_eq!(opened.status, 201, "{opened:?}");
    };
    let opening = stream::iter(0..count).map(open);
    let opening = opening.buffer_unordered(OPENED_AT_ONCE);
    opening.for_each(async |()| ()).await;
}

/// What is in each of the first accounts.
pub async fn balances(client: &Client, count: u32) -> BTreeMap<u32, i128> {
    let mut balances = BTreeMap::new();
    for id in 0..count {
        let account = client.get(&format!("/accounts/{id}")).await.json();
        let balance = account["balance"].as_u64().expect("a number");
        balances.insert(id, i128::from(balance));
    }
    balances
}

/// Opens the accounts, at nodes that are all there, and starts clients that transfer at random, and others that add everything up.
pub async fn start(places: &Places, random: &mut Random) -> Crowd<Done> {
    let client = places.client(0).await;
    open_accounts(&client, ALL, OPENING).await;
    let mut crowd = Crowd::new();
    for number in 0..CAREFUL + CARELESS + AUDITORS {
        let client = One {
            number,
            places: places.clone(),
            node: number % places.count(),
            random: random.split(),
            tally: crowd.tally(),
            done: Done::default(),
        };
        match number {
            0..CAREFUL => crowd.add(client.transfers()),
            _ if number < CAREFUL + CARELESS => crowd.add(client.hopes()),
            _ => crowd.add(client.adds_up()),
        }
    }
    crowd
}

impl Told for Done {
    fn add(&mut self, other: Self) {
        self.transfers.extend(other.transfers);
        self.waits.extend(other.waits);
        self.audits.extend(other.audits);
        self.wrong.extend(other.wrong);
    }
}

impl Done {
    /// How many transfers happened.
    #[must_use]
    pub fn happened(&self) -> usize {
        self.transfers.len()
    }

    /// Each transfer happened as its client was told, once or not at all, and nothing was lost.
    pub async fn check(&mut self, client: &Client) {
        let mut expected: BTreeMap<u32, i128> =
            (0..ACCOUNTS).map(|id| (id, i128::from(OPENING))).collect();
        for (from, to, amount) in &self.transfers {
            *expected.get_mut(from).expect("it is one of them") -= i128::from(*amount);
            *expected.get_mut(to).expect("it is one of them") += i128::from(*amount);
        }
        let found = balances(client, ACCOUNTS).await;
        if found != expected {
            let what = format!("the balances are {found:?}, not {expected:?}");
            self.wrong.push(what);
        }
        if let Some(what) = audit(client).await.1 {
            self.wrong.push(what);
        }
    }
}

/// Whether the audit was answered, and what is wrong with the answer.
async fn audit(client: &Client) -> (bool, Option<String>) {
    let all = json!({"accounts": (0..ALL).collect::<Vec<_>>()});
    let audit = client.request("POST", "/audit").json(&all).try_send().await;
    match audit {
        Ok(audit) if audit.status == 200 && audit.json()["total"] == TOTAL => (true, None),
        Ok(audit) if audit.status == 503 => (false, None),
        Ok(audit) => (true, Some(format!("an audit of {TOTAL}: {audit:?}"))),
        Err(_) => (false, None),
    }
}

/// One client.
struct One {
    number: usize,
    places: Places,
    node: usize,
    random: Random,
    tally: Tally,
    done: Done,
}

impl One {
    async fn goes_on(&mut self) -> bool {
        self.tally.goes_on(&mut self.random, REST_MS_MAX).await
    }

    /// Two accounts, and an amount that is not always there.
    fn chooses(&mut self, first: u32) -> (u32, u32, u64) {
        let from = self.random.below(ACCOUNTS);
        let to = (from + 1 + self.random.below(ACCOUNTS - 1)) % ACCOUNTS;
        let amount = u64::from(1 + self.random.below(299));
        (first + from, first + to, amount)
    }

    async fn transfers(mut self) -> Done {
        let mut asked = 0;
        while self.goes_on().await {
            asked += 1;
            let (from, to, amount) = self.chooses(0);
            let id = format!("{}-{asked}", self.number);
            let body = transfer(from, to, amount);
            let began = Instant::now();
            let reply = insist(&self.places, self.node, "/transfers", Some(&body), &id).await;
            self.done.waits.push(began.elapsed());
            match reply.status {
                204 => {
                    self.done.transfers.push((from, to, amount));
                    self.tally.changed();
                }
                409 => {}
                _ => self.done.wrong.push(format!("{body}: {reply:?}")),
            }
        }
        self.done
    }

    async fn hopes(mut self) -> Done {
        while self.goes_on().await {
            let (from, to, amount) = self.chooses(ACCOUNTS);
            let body = transfer(from, to, amount);
            let client = self.places.client(self.node).await;
            let request = client.request("POST", "/transfers").json(&body);
            if let Ok(reply) = request.try_send().await
                && !matches!(reply.status, 204 | 409 | 503)
            {
                self.done.wrong.push(format!("{body}: {reply:?}"));
            }
        }
        self.done
    }

    async fn adds_up(mut self) -> Done {
        while self.goes_on().await {
            let client = self.places.client(self.node).await;
            let began = Instant::now();
            let (answered, wrong) = audit(&client).await;
            self.done.wrong.extend(wrong);
            if answered {
                self.done.audits.push(began.elapsed());
                self.tally.looked();
            }
        }
        self.done
    }
}
