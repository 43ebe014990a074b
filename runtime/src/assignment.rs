//! Which node owns which partition. A pure function, so that every node comes to the same answer.

use std::collections::BTreeSet;

/// Who owns a partition, as one node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Here,
    /// The node with this index.
    Peer(usize),
    Nobody,
}

/// The owners of a topic's partitions as node `index` of `nodes` sees them: dealt out in turn. `serve` (one node only) limits what is owned.
/// A global state's one partition is always owned.
pub(crate) fn owners(
    partitions: u32,
    global: bool,
    index: usize,
    nodes: usize,
    serve: Option<&BTreeSet<u32>>,
) -> Vec<Owner> {
    let owner = |partition: u32| {
        if !global && serve.is_some_and(|serve| !serve.contains(&partition)) {
            return Owner::Nobody;
        }
        match partition as usize % nodes {
            node if node == index => Owner::Here,
            node => Owner::Peer(node),
        }
    };
    (0..partitions).map(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_exactly_one_owner() {
        for nodes in 1..5 {
            for partition in 0..8 {
                let owning: Vec<_> = (0..nodes)
                    .filter(|index| owners(8, false, *index, nodes, None)[partition] == Owner::Here)
                    .collect();
                assert_eq!(owning.len(), 1, "partition {partition} of {nodes} nodes");
                for index in (0..nodes).filter(|index| *index != owning[0]) {
                    let seen = owners(8, false, index, nodes, None)[partition];
                    assert_eq!(seen, Owner::Peer(owning[0]));
                }
            }
        }
    }

    #[test]
    fn two_nodes_have_half_each() {
        let mine = owners(8, false, 1, 2, None);
        assert_eq!(
            mine.iter().filter(|owner| **owner == Owner::Here).count(),
            4
        );
    }

    #[test]
    fn serve_limits_all_but_global_states() {
        let serve = BTreeSet::from([0, 2]);
        let owned = owners(4, false, 0, 1, Some(&serve));
        assert_eq!(
            owned,
            [Owner::Here, Owner::Nobody, Owner::Here, Owner::Nobody]
        );
        assert_eq!(
            owners(1, true, 0, 1, Some(&BTreeSet::from([3]))),
            [Owner::Here]
        );
    }
}
