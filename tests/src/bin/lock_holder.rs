//! A process that takes a lock and says for how long it believes to have it, for tests that pause and kill it.
//!
//! `lock_holder zookeeper://…/root NODE` takes the lock of `held/0`. Each line that it writes is one of:
//! - `got T`: it has the lock; the moment is taken after that was known.
//! - `holds T`: it held at a moment after `T`.
//! - `lost`: it is known to be lost.
//!
//! Moments are nanoseconds since the start of the machine, so those of several processes can be compared.

use std::{io::Write as _, sync::Arc, time::Duration};

use memgen::{
    coordinator::{
        Coordinator as _,
        conformance::{node, take},
        zookeeper::{Settings, ZooKeeper},
    },
    log::TopicPartition,
};
use memgen_tests::moment;

/// How long it only looks, without writing what it sees: what is seen right after a pause must not be missed for that.
const LOOK_FOR: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let address = args.next().expect("an address");
    let id = args.next().expect("a name");
    let coordinator = ZooKeeper::start(Settings {
        address: address.parse().expect("an address"),
        cluster: "tests".to_owned(),
        session_timeout: Duration::from_secs(2),
    });
    let incarnation = u64::from(std::process::id());
    coordinator
        .join(node(&id, incarnation))
        .await
        .expect("it can join");
    say("joined");
    let lock = take(&coordinator, &TopicPartition::new("held", 0)).await;
    say(&format!("got {}", moment()));
    let looking = Arc::clone(&lock);
    tokio::task::spawn_blocking(move || {
        let mut lost = false;
        while !lost {
            let mut last = None;
            let until = std::time::Instant::now() + LOOK_FOR;
            while !lost && std::time::Instant::now() < until {
                let before = moment();
                if looking.holds() {
                    last = Some(before);
                }
                lost = looking.is_lost();
            }
            if let Some(last) = last {
                say(&format!("holds {last}"));
            }
        }
        say("lost");
    })
    .await
    .expect("it does not panic");
    // It goes on as a node without a lock.
    std::future::pending::<()>().await;
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .expect("the test listens");
}
