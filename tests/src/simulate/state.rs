//! All that there is at the end, and whether it can be.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use memgen::testing::{Cluster, Reply};
use tokio::time::{Instant, sleep, timeout};

use super::{
    client::{Fate, shown},
    plan::NAMES,
    service::{Pile, Tally},
};

/// So long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(40);
/// Within this time all events have had their effect.
const EVENTS_WITHIN: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Of these nothing is left when all is quiet.
const LEFT: [&str; 2] = ["memgen_transactions_in_doubt", "memgen_outbox_length"];

/// All that there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) piles: BTreeMap<String, Vec<u64>>,
    flags: BTreeSet<u64>,
    tallies: BTreeMap<String, (Vec<u64>, Vec<u64>)>,
}

impl State {
    /// All that there is, as a node shows it.
    pub(super) async fn of(cluster: &Cluster, node: usize) -> Self {
        let flags = insist(cluster, node, "/flags?limit=1000", false).await;
        let (mut piles, mut tallies) = (BTreeMap::new(), BTreeMap::new());
        for name in NAMES {
            let pile = insist(cluster, node, &format!("/piles/{name}"), true).await;
            if pile.status() == 200 {
                piles.insert(name.to_owned(), pile.json::<Pile>().items);
            }
            let tally = insist(cluster, node, &format!("/tallies/{name}"), true).await;
            if tally.status() == 200 {
                let tally = tally.json::<Tally>();
                tallies.insert(name.to_owned(), (tally.alone, tally.together));
            }
        }
        Self {
            piles,
            flags: shown(&flags),
            tallies,
        }
    }

    /// All that there is once events tell of as much as there is, or do not for too long.
    pub(super) async fn settled(cluster: &Cluster, node: usize) -> Self {
        let until = Instant::now() + EVENTS_WITHIN;
        loop {
            let state = Self::of(cluster, node).await;
            let items = state.piles.values().map(Vec::len).sum();
            if state.events() >= items || Instant::now() >= until {
                return state;
            }
            sleep(PAUSE).await;
        }
    }

    /// How many items events have told of.
    pub(super) fn events(&self) -> usize {
        let tallies = self.tallies.values();
        tallies
            .map(|(alone, together)| alone.len() + together.len())
            .sum()
    }

    /// Whether what clients know of flags can be right.
    pub(super) fn check_flags(&self, known: &BTreeMap<u64, Fate>) -> Result<(), String> {
        for (item, fate) in known {
            let there = self.flags.contains(item);
            let wrong = match fate {
                Fate::Lost => "was put there, and was not found",
                Fate::Back => "was deleted, and was found",
                Fate::There if !there => "was put there, and is lost",
                Fate::Gone if there => "was deleted, and is there",
                Fate::There | Fate::Gone | Fate::Unknown => continue,
            };
            return Err(format!("{item} {wrong}"));
        }
        Ok(())
    }

    /// Whether each item that is in a pile has had one event, and those of commands came in order.
    pub(super) fn check_tallies(&self) -> Result<(), String> {
        let none = (Vec::new(), Vec::new());
        for name in NAMES {
            let pile = self.piles.get(name).map_or(&[][..], Vec::as_slice);
            let (alone, together) = self.tallies.get(name).unwrap_or(&none);
            let by_commands = pile.iter().filter(|item| !together.contains(item));
            let mut by_transactions: Vec<_> =
                pile.iter().filter(|item| !alone.contains(item)).collect();
            by_transactions.sort_unstable();
            let mut told_together: Vec<_> = together.iter().collect();
            told_together.sort_unstable();
            if !by_commands.eq(alone) || by_transactions != told_together {
                return Err(format!(
                    "`{name}` is {pile:?}, and events tell of {alone:?} by commands and {together:?} by transactions"
                ));
            }
        }
        Ok(())
    }
}

/// Waits until no node has a transaction that is in doubt, or something in its outbox.
///
/// # Errors
/// What is left, if that takes too long.
pub(super) async fn nothing_is_left(cluster: &Cluster) -> Result<(), String> {
    let until = Instant::now() + EVENTS_WITHIN;
    for node in 0..cluster.size() {
        loop {
            let metrics = cluster.node(node).admin("/metrics").await.text();
            let left = metrics.lines().find(|line| {
                LEFT.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0")
            });
            match left {
                None => break,
                Some(left) if Instant::now() >= until => {
                    return Err(format!("node {node} still has {left}"));
                }
                Some(_) => sleep(PAUSE).await,
            }
        }
    }
    Ok(())
}

/// What a node answers, to a `strict` read or another one; asked for again until that is what is asked for, or says that it is not there.
async fn insist(cluster: &Cluster, node: usize, path: &str, strict: bool) -> Reply {
    loop {
        let mut get = cluster.node(node).get(path);
        if strict {
            get = get.header("memgen-read", "strict");
        }
        if let Ok(Ok(reply)) = timeout(PATIENCE, get.try_send()).await
            && matches!(reply.status(), 200 | 404)
        {
            return reply;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_one_event() {
        let state = |pile: &[u64], alone: &[u64], together: &[u64]| State {
            piles: BTreeMap::from([("a".to_owned(), pile.to_vec())]),
            flags: BTreeSet::new(),
            tallies: BTreeMap::from([("a".to_owned(), (alone.to_vec(), together.to_vec()))]),
        };
        // Those of transactions come in any order.
        for (pile, alone, together) in [
            (&[][..], &[][..], &[][..]),
            (&[1, 2, 3, 4], &[1, 3], &[4, 2]),
            (&[1], &[1], &[]),
        ] {
            assert_eq!(state(pile, alone, together).check_tallies(), Ok(()));
        }
        for (pile, alone, together) in [
            (&[1, 2][..], &[1][..], &[][..]),
            (&[1], &[1, 1], &[]),
            (&[1, 2], &[2, 1], &[]),
            (&[1], &[], &[1, 1]),
            (&[1], &[1], &[1]),
            (&[], &[1], &[]),
        ] {
            assert!(
                state(pile, alone, together).check_tallies().is_err(),
                "{pile:?}"
            );
        }
    }
}
