//! Processes that are paused or killed while they have a lock.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use memgen::{
    coordinator::{
        Coordinator as _,
        conformance::{node, take, until},
        zookeeper::ZooKeeper,
    },
    log::TopicPartition,
};
use memgen_tests::moment;
use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{one_server, settings};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process `lock_holder`, which ends with this value.
struct LockHolder {
    child: Child,
    lines: Receiver<String>,
}

impl LockHolder {
    fn start(address: &str, id: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lock_holder"))
            .args([address, id])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is built with the tests");
        let out = child.stdout.take().expect("it was asked for");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that begins with this, and returns the rest.
    fn wait_for(&self, word: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("no `{word}`: {error}"));
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// The last moment at which it held, of all that it says until it is silent for a while.
    fn last_held(&self) -> u64 {
        let mut last = 0;
        loop {
            match self.lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    if let Some(moment) = line.strip_prefix("holds ") {
                        last = moment.parse().expect("a moment");
                    }
                }
                Err(RecvTimeoutError::Timeout) => return last,
                Err(error) => panic!("it ended: {error}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for LockHolder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_paused_beyond_its_session_does_not_hold_when_it_wakes() {
    let server = one_server();
    let address = server.address("/paused");
    let partition = TopicPartition::new("held", 0);
    let other = ZooKeeper::start(settings(&address));
    other.join(node("other", 7)).await.expect("it joins");
    for round in 0..3 {
        let paused = LockHolder::start(&address, &format!("paused-{round}"));
        paused.wait_for("got");
        paused.wait_for("holds");
        paused.signal(Signal::STOP);
        let lock = take(&other, &partition).await;
        let taken = moment();
        paused.signal(Signal::CONT);
        // It learns that it lost the lock, and until then, it does not believe to have it for a moment.
        let last = tokio::task::block_in_place(|| paused.last_held());
        assert!(
            last < taken,
            "it held {} ns after another got the lock",
            last - taken
        );
        assert!(lock.holds());
        lock.release().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_started_again_after_a_kill_does_not_wait_for_its_session() {
    let server = one_server();
    let address = server.address("/killed");
    let looker = ZooKeeper::start(settings(&address));
    let first = LockHolder::start(&address, "killed");
    first.wait_for("got");
    let seen = until(&looker, "the lock is seen", |view| !view.holders.is_empty()).await;
    let holder = seen.holders.values().next().expect("it is there").clone();
    let root = zookeeper_client::Client::connect(server.servers())
        .await
        .expect("it answers");
    let root = root.chroot("/killed").expect("a root");
    let sessions = async || {
        root.list_children("/sessions")
            .await
            .expect("it answers")
            .len()
    };
    assert_eq!(sessions().await, 2, "its own and the looker's");
    // Nothing runs of it, though its parent did not look yet.
    first.signal(Signal::KILL);
    let second = LockHolder::start(&address, "killed");
    second.wait_for("got");
    assert_eq!(
        sessions().await,
        3,
        "the session of the first one has not ended yet"
    );
    let changed = until(&looker, "the lock is the second one's", |view| {
        view.holders.values().any(|now| now.lock != holder.lock)
    });
    let now = changed
        .await
        .holders
        .values()
        .next()
        .expect("it is there")
        .clone();
    assert_eq!(now.node, "killed");
    assert_eq!(now.incarnation, u64::from(second.child.id()));
}
