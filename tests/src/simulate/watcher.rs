//! A change feed, from node to node, and whether it shows each change once and in order.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use memgen::testing::{Cluster, Event, Feed, World};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{plan::Watch, service::Pile};

/// Whoever is not answered for so long asks elsewhere.
const PATIENCE: Duration = Duration::from_secs(4);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Within this time after all is quiet, everything has been shown.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

type Piles = BTreeMap<String, Vec<u64>>;

/// Somebody who watches.
pub(super) struct Watcher {
    watch: Watch,
    shown: Arc<Mutex<Shown>>,
    task: JoinHandle<()>,
}

/// What a feed has shown since it last began anew.
#[derive(Debug, Default)]
struct Shown {
    piles: Piles,
    /// Piles that were not shown are not there.
    all: bool,
    /// What was shown once more, or as if something had been left out.
    wrong: Option<String>,
    changes: usize,
}

impl Watcher {
    pub(super) fn start(world: &World, cluster: &Cluster, watch: Watch) -> Self {
        let shown: Arc<Mutex<Shown>> = Arc::default();
        let task = world.spawn(follow(cluster.clone(), watch, shown.clone()));
        Self { watch, shown, task }
    }

    /// Waits until all that there is was shown. The number of changes that were.
    ///
    /// # Errors
    /// What was shown wrongly, or not at all.
    pub(super) async fn finish(self, last: &Piles) -> Result<usize, String> {
        let wanted = last.iter();
        let wanted = wanted.filter(|(name, _)| self.watch.name.is_none_or(|it| it == **name));
        let wanted: Piles = wanted.map(|(k, v)| (k.clone(), v.clone())).collect();
        let until = Instant::now() + SHOWN_WITHIN;
        let done = loop {
            let wrong = {
                let shown = lock(&self.shown);
                match &shown.wrong {
                    Some(wrong) => break Err(wrong.clone()),
                    None if shown.piles == wanted => break Ok(shown.changes),
                    None => format!("{:?} were shown, and {wanted:?} are there", shown.piles),
                }
            };
            if Instant::now() >= until {
                break Err(wrong);
            }
            sleep(PAUSE).await;
        };
        self.task.abort();
        done.map_err(|what| format!("{:?}: {what}", self.watch))
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Goes on at another node whenever a feed ends.
async fn follow(cluster: Cluster, watch: Watch, shown: Arc<Mutex<Shown>>) {
    let path = match watch.name {
        Some(name) => format!("/piles/{name}"),
        None => "/piles".to_owned(),
    };
    let (mut node, mut id) = (watch.node, String::new());
    loop {
        let opened = timeout(PATIENCE, cluster.node(node).get(&path).watch(&id)).await;
        if let Ok(Ok(mut feed)) = opened {
            // It leaves in the middle of whatever is said, as those do who close a page.
            drop(timeout(watch.stays, take(&mut feed, &shown)).await);
            feed.id().clone_into(&mut id);
        }
        node = (node + 1) % cluster.size();
        sleep(watch.rests).await;
    }
}

/// Takes what a feed says, until it ends.
async fn take(feed: &mut Feed, shown: &Mutex<Shown>) {
    while let Some(event) = feed.next().await {
        lock(shown).take(&event);
    }
}

impl Shown {
    fn take(&mut self, event: &Event) {
        match &*event.kind {
            "reset" => {
                self.piles.clear();
                self.all = false;
            }
            "value" => {
                let Pile { name, items } = event.json();
                let before = self.piles.get(&name);
                let before = before.map(Vec::as_slice).or(self.all.then_some(&[]));
                if let Some(before) = before {
                    // Each change appends one item.
                    if items.len() != before.len() + 1 || !items.starts_with(before) {
                        let what = format!("`{name}` was shown as {before:?}, then as {items:?}");
                        self.wrong.get_or_insert(what);
                    }
                    self.changes += 1;
                }
                self.piles.insert(name, items);
            }
            "absent" if self.piles.is_empty() => self.all = true,
            "current" => self.all = true,
            _ => {
                self.wrong.get_or_insert(format!("{event:?} was shown"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(events: &[(&str, &str)]) -> Shown {
        let mut shown = Shown::default();
        for (kind, items) in events {
            shown.take(&Event {
                kind: (*kind).to_owned(),
                data: format!(r#"{{"name": "a", "items": {items}}}"#),
            });
        }
        shown
    }

    #[test]
    fn each_change_is_shown_once_and_in_order() {
        for (events, changes) in [
            (
                &[("reset", "[]"), ("value", "[1]"), ("value", "[1, 2]")][..],
                1,
            ),
            (&[("reset", "[]"), ("absent", "[]"), ("value", "[1]")], 1),
            (
                &[
                    ("reset", "[]"),
                    ("value", "[1, 2]"),
                    ("current", "[]"),
                    ("value", "[1, 2, 3]"),
                ],
                1,
            ),
            (
                &[
                    ("reset", "[]"),
                    ("value", "[1]"),
                    ("reset", "[]"),
                    ("value", "[1, 2, 3]"),
                ],
                0,
            ),
        ] {
            let shown = shown(events);
            assert_eq!((shown.wrong, shown.changes), (None, changes), "{events:?}");
        }
        for events in [
            &[("reset", "[]"), ("value", "[1]"), ("value", "[1]")][..],
            &[("reset", "[]"), ("value", "[1]"), ("value", "[1, 2, 3]")],
            &[("reset", "[]"), ("value", "[1, 2]"), ("value", "[1]")],
            &[("reset", "[]"), ("value", "[1]"), ("value", "[2, 1]")],
            &[("reset", "[]"), ("absent", "[]"), ("value", "[1, 2]")],
            &[("reset", "[]"), ("current", "[]"), ("value", "[1, 2]")],
            &[("reset", "[]"), ("value", "[1]"), ("absent", "[]")],
        ] {
            assert!(shown(events).wrong.is_some(), "{events:?}");
        }
    }
}
