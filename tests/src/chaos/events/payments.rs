//! Payments of the example `ledger`: transactions over two partitions, with receipts.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::Consumer as _,
    message::{BorrowedMessage, Headers as _},
};
use serde_json::{Value, json};

use super::{Topics, take_in};
use crate::{
    chaos::{PATIENCE, Report, storm::Storm},
    cluster::Servers,
    ledger::{balances, open_accounts},
};

/// Accounts that payments go between: so many that those at one time seldom want the same.
const ACCOUNTS: u32 = 512;
/// What is in each at first: more than it pays.
const OPENING: u64 = 1 << 40;
/// Every payment of this many is of nobody, and is refused.
const REFUSED_EVERY: usize = 1000;

/// So many payments by a stranger, while every so often a node is killed, or two. Each payment happens once and has one receipt, what can't be paid is refused once, and
/// a replay of all logs from their start comes to the same positions and balances.
pub async fn payments(servers: &Servers, count: usize, every: Duration) -> Report {
    const PART: &str = "payments, kill -9";
    let mut storm = Storm::start(servers, "ledger").await;
    open_accounts(&storm.api.client(0).await, ACCOUNTS, OPENING).await;
    let topics = Topics::of(servers, &storm);
    let events = (0..count).map(|number| (id(number), event(number)));
    take_in(&mut storm, PART, &topics, "payments", events, every).await;

    let mut wrong = Vec::new();
    let paid = (0..count).filter(|number| !is_refused(*number));
    let paid = topics.each_once("receipts", paid, &mut wrong).await;
    let refused = (0..count).filter(|number| is_refused(*number));
    let refused = topics.each_once("payments-refused", refused, &mut wrong);
    let repeats = paid + refused.await;
    storm
        .report
        .add(&format!("{PART}: records that came once more"), repeats);
    let expected = balances_after(count);
    let found = balances(&storm.api.client(0).await, ACCOUNTS).await;
    if found != expected {
        wrong.push(format!("the balances are {found:?}, not {expected:?}"));
    }
    wrong.extend(storm.replay_all().await);
    let found = balances(&storm.api.client(0).await, ACCOUNTS).await;
    if found != expected {
        wrong.push(format!("after a replay: {found:?}, not {expected:?}"));
    }
    storm.end(PART, wrong).await
}

fn is_refused(number: usize) -> bool {
    number % REFUSED_EVERY == REFUSED_EVERY - 1
}

fn id(number: usize) -> String {
    format!("event-{number}")
}

/// From, to, amount.
fn payment(number: usize) -> (u32, u32, u64) {
    let number = u32::try_from(number).expect("fewer than 2^32 events");
    let from = number % ACCOUNTS;
    let to = (from + 1 + number / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS;
    (from, to, u64::from(1 + number % 50))
}

fn event(number: usize) -> Value {
    let (from, to, amount) = payment(number);
    let from = if is_refused(number) { ACCOUNTS } else { from };
    json!({"id": id(number), "from": from, "to": to, "amount": amount})
}

fn balances_after(count: usize) -> BTreeMap<u32, i128> {
    let mut balances: BTreeMap<u32, i128> = (0..ACCOUNTS).map(|id| (id, OPENING.into())).collect();
    for number in (0..count).filter(|number| !is_refused(*number)) {
        let (from, to, amount) = payment(number);
        *balances.get_mut(&from).expect("it is one of them") -= i128::from(amount);
        *balances.get_mut(&to).expect("it is one of them") += i128::from(amount);
    }
    balances
}

impl Topics {
    /// Waits until a topic has all of these events, and says which are there more or less than once for whoever drops repeats. Returns how many repeats there were.
    async fn each_once(
        &self,
        topic: &str,
        numbers: impl Iterator<Item = usize>,
        wrong: &mut Vec<String>,
    ) -> usize {
        let topic = self.name(topic);
        let mut expected: HashMap<String, usize> = numbers.map(|number| (id(number), 0)).collect();
        if expected.is_empty() {
            return 0;
        }
        let began = Instant::now();
        let (fresh, repeats) = loop {
            let reader = self.clone();
            let of = topic.clone();
            let read = tokio::task::spawn_blocking(move || reader.read(&of));
            let read = read.await.expect("it can be read");
            // What was emitted last may be on its way.
            if read.0.len() >= expected.len() || began.elapsed() > PATIENCE {
                break read;
            }
        };
        for id in fresh {
            match expected.get_mut(&id) {
                Some(count) => *count += 1,
                None => wrong.push(format!("{topic}: {id} is none of them")),
            }
        }
        let not_once = expected.into_iter().filter(|(_, count)| *count != 1);
        wrong.extend(not_once.map(|(id, count)| format!("{topic}: {id} is there {count} times")));
        repeats
    }

    /// The events that a topic tells of, without repeats, and how many repeats it has.
    fn read(&self, topic: &str) -> (Vec<String>, usize) {
        let (mut fresh, mut repeats) = (Vec::new(), 0);
        let consumer = self.consumer();
        for partition in 0..self.partitions(topic) {
            let marks = consumer.fetch_watermarks(topic, partition, PATIENCE);
            let (mut next, end) = marks.expect("the brokers answer");
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(topic, partition, Offset::Offset(next))
                .expect("an offset");
            consumer.assign(&from).expect("it is assigned");
            let mut last: HashMap<String, u64> = HashMap::new();
            while next < end {
                // It also gives nothing after what is no message.
                let Some(message) = consumer.poll(PATIENCE) else {
                    continue;
                };
                let message = message.expect("it can be read");
                next = message.offset() + 1;
                let (source, number) = origin(&message);
                if last.get(&source).is_some_and(|last| number <= *last) {
                    repeats += 1;
                    continue;
                }
                last.insert(source, number);
                let value = message.payload().expect("it has a value");
                let value: Value = serde_json::from_slice(value).expect("JSON");
                fresh.push(value["id"].as_str().expect("text").to_owned());
            }
        }
        (fresh, repeats)
    }
}

/// Where a record comes from, and its number there.
fn origin(message: &BorrowedMessage<'_>) -> (String, u64) {
    let headers = message.headers().expect("it was emitted");
    let text = |name: &str| {
        let mut headers = headers.iter();
        let header = headers.find(|header| header.key == name);
        let value = header.and_then(|header| header.value).expect("a header");
        String::from_utf8(value.to_vec()).expect("text")
    };
    let number = text("memgen-sequence").parse().expect("a number");
    (text("memgen-source"), number)
}
