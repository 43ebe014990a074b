//! Who owns what: balanced within one partition, and with no more moves than that takes.

use std::{collections::BTreeMap, time::Duration};

use super::{Chaos, PARTITIONS, PATIENCE};

/// How many partitions have to move from one of these nodes to another, so that all have as many as the others, within one. A node that is to have none is not among
/// the `nodes` that may have some.
fn moves_min(owners: &[Option<String>], nodes: &[String]) -> usize {
    let mut counts: BTreeMap<&str, usize> = nodes.iter().map(|node| (&**node, 0)).collect();
    for owner in owners.iter().flatten() {
        if let Some(count) = counts.get_mut(&**owner) {
            *count += 1;
        }
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
    let (share, more) = (owners.len() / nodes.len(), owners.len() % nodes.len());
    let stay = counts
        .iter()
        .enumerate()
        .map(|(at, count)| *count.min(&(share + usize::from(at < more))));
    owners.len() - stay.sum::<usize>()
}

/// How many moves there may be: what a node had that is gone goes to standbys that are in sync, so that nobody waits, wherever they are; then to balance.
fn moves_max(owners: &[Option<String>], standbys: &[Option<String>], nodes: &[String]) -> usize {
    let stays = |owner: &Option<String>| owner.as_ref().is_some_and(|owner| nodes.contains(owner));
    let mut taken = 0;
    let after: Vec<Option<String>> = owners
        .iter()
        .zip(standbys)
        .map(|(owner, standby)| {
            if !stays(owner) && stays(standby) {
                taken += 1;
                return standby.clone();
            }
            owner.clone()
        })
        .collect();
    taken + moves_min(&after, nodes)
}

fn is_balanced(owners: &[Option<String>], nodes: usize) -> bool {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for owner in owners.iter().flatten() {
        *counts.entry(owner).or_default() += 1;
    }
    let (least, most) = (counts.values().min(), counts.values().max());
    owners.iter().all(Option::is_some)
        && counts.len() == nodes
        && least
            .zip(most)
            .is_some_and(|(least, most)| most - least <= 1)
}

/// What there was before a change of who is there.
pub(super) struct Before {
    owners: Vec<Option<String>>,
    /// The first standby of each partition.
    standbys: Vec<Option<String>>,
    epochs: u64,
}

impl Chaos {
    /// A node that runs.
    fn any(&self) -> usize {
        self.cluster.clients()[0].0
    }

    /// Waits until each partition has an owner, and each node as many as the others, within one.
    pub async fn balanced(&mut self, nodes: usize) {
        let any = self.any();
        let mut owners = Vec::new();
        let waited = async {
            loop {
                owners = self.cluster.owners(any, "register").await;
                assert_eq!(owners.len(), PARTITIONS);
                if is_balanced(&owners, nodes) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waited).await;
        assert!(waited.is_ok(), "{nodes} nodes: {owners:?}");
        self.cluster.ready().await;
    }

    /// What there is now.
    pub(super) async fn before(&mut self) -> Before {
        let any = self.any();
        Before {
            owners: self.cluster.owners(any, "register").await,
            standbys: self.cluster.standbys(any, "register").await,
            epochs: self.cluster.epochs("register").await,
        }
    }

    /// Since `before`, no partition was taken over that had not to be.
    pub(super) async fn no_more_moves(&mut self, what: &str, before: &Before) {
        let nodes: Vec<String> = self
            .cluster
            .clients()
            .into_iter()
            .map(|(node, _)| crate::cluster::name_of(node))
            .collect();
        let least = moves_min(&before.owners, &nodes);
        let moves = self.cluster.epochs("register").await - before.epochs;
        self.report
            .add("moves", usize::try_from(moves).expect("a few"));
        self.report.add("moves at least", least);
        let Before {
            owners, standbys, ..
        } = before;
        let most = moves_max(owners, standbys, &nodes).max(least);
        if moves < least as u64 || moves > most as u64 {
            self.report.violation(format!(
                "{what}: {moves} moves, and {least} to {most} are enough, from {owners:?} with the standbys {standbys:?} to {nodes:?}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_few_moves_as_possible() {
        for (owners, nodes, least) in [
            ("aaaaaaaa", "ab", 4),
            ("aaaabbbb", "abc", 2),
            ("aaabbbcc", "abc", 0),
            ("aaabbbcc", "ab", 2),
            ("aaabbccc", "ab", 3),
            ("aaaabbbb", "a", 4),
            ("aaaaaabb", "abc", 3),
        ] {
            let owner = |name: char| name.to_string();
            let owners: Vec<_> = owners.chars().map(|name| Some(owner(name))).collect();
            let nodes: Vec<_> = nodes.chars().map(owner).collect();
            assert_eq!(moves_min(&owners, &nodes), least, "{owners:?} {nodes:?}");
            assert_eq!(is_balanced(&owners, nodes.len()), least == 0);
        }
    }

    #[test]
    fn standbys_take_over_before_all_is_balanced() {
        let names = |text: &str| -> Vec<Option<String>> {
            text.chars().map(|name| Some(name.to_string())).collect()
        };
        let left = ["b".to_owned(), "c".to_owned()];
        for (owners, standbys, most) in [
            ("accacbbb".to_owned(), "bbbcbccc", 2),
            ("acccabbb".to_owned(), "bbbbbccc", 3),
            ("bbbbcccc".to_owned(), "ccccbbbb", 0),
        ] {
            let most_found = moves_max(&names(&owners), &names(standbys), &left);
            assert_eq!(most_found, most, "{owners} {standbys}");
        }
    }
}
