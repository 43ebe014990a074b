//! Random clusters: members come, go, drain; after each change the plan is followed until it comes to rest.

use super::*;

/// A cluster that does what the plan says.
struct Cluster {
    members: Vec<Member>,
    facts: Vec<Facts>,
    standbys: usize,
}

impl Cluster {
    fn new(partitions: u32, standbys: usize) -> Self {
        let topics = [
            ("pet", partitions, false),
            ("owner", partitions, false),
            ("settings", 1, true),
        ];
        let facts = topics.into_iter().flat_map(|(topic, count, global)| {
            (0..count).map(move |number| Facts {
                partition: TopicPartition::new(topic, number),
                global,
                owner: None,
                standbys: Vec::new(),
                in_sync: BTreeSet::new(),
            })
        });
        Self {
            members: Vec::new(),
            facts: facts.collect(),
            standbys,
        }
    }

    fn join(&mut self, id: usize, zone: Option<&str>, serve: Option<BTreeSet<u32>>) {
        self.members.push(Member {
            id: format!("n{id:02}"),
            zone: zone.map(str::to_owned),
            serve,
            topics: None,
            draining: false,
            cut_off: false,
        });
    }

    /// It is gone at once.
    fn crash(&mut self, index: usize) {
        let gone = self.members.remove(index).id;
        for facts in &mut self.facts {
            facts.in_sync.remove(&gone);
        }
    }

    /// Makes a plan, checks it against what was, and follows it. Those for which `catches_up` holds are in sync afterwards. Returns the number of owners that changed.
    fn step(&mut self, mut catches_up: impl FnMut() -> bool) -> usize {
        let plan = plan(&self.members, &self.facts, self.standbys);
        let mut moves = 0;
        for (facts, next) in self.facts.iter_mut().zip(plan) {
            let living = |id: &String| self.members.iter().any(|member| member.id == *id);
            let may = |id: &str| {
                let member = self.members.iter().find(|member| member.id == id);
                let member = member.unwrap_or_else(|| panic!("{id} is not there"));
                let serve = member.serve.as_ref();
                facts.global || serve.is_none_or(|serve| serve.contains(&facts.partition.partition))
            };
            let owner = next.owner.clone();
            if let Some(owner) = &owner {
                assert!(may(owner), "{} may not have {}", owner, facts.partition);
            } else {
                assert!(
                    !self.members.iter().any(|member| may(&member.id)),
                    "{} has no owner",
                    facts.partition
                );
            }
            let before = facts
                .owner
                .clone()
                .filter(living)
                .filter(|owner| may(owner));
            if let Some(owner) = owner.as_ref().filter(|_| owner != before) {
                let ready = facts.in_sync.contains(owner);
                let any_ready = facts.in_sync.iter().any(|id| living(id) && may(id));
                assert!(
                    ready || (before.is_none() && !any_ready),
                    "{} moved to one that is behind",
                    facts.partition
                );
            }
            moves += usize::from(owner != facts.owner);
            let distinct: BTreeSet<_> = next.standbys.iter().chain(&owner).collect();
            assert_eq!(
                distinct.len(),
                next.standbys.len() + usize::from(owner.is_some())
            );
            assert!(next.standbys.iter().all(|id| may(id)));
            facts.in_sync.retain(|id| distinct.contains(id));
            for id in distinct.into_iter().cloned().collect::<Vec<_>>() {
                if Some(&id) == owner.as_ref() || catches_up() {
                    facts.in_sync.insert(id);
                }
            }
            facts.owner = owner;
            facts.standbys = next.standbys;
        }
        moves
    }

    /// Follows the plan to its end. Returns the number of owners that changed on the way.
    fn settle(&mut self) -> usize {
        let mut moves = 0;
        for _ in 0..20 {
            let before = self.facts.clone();
            moves += self.step(|| true);
            if self.facts == before {
                return moves;
            }
        }
        panic!("the plan does not come to rest");
    }

    fn loads(&self) -> Vec<usize> {
        let able = self
            .members
            .iter()
            .filter(|member| !member.draining && !member.cut_off);
        able.map(|member| self.owned(&member.id)).collect()
    }

    fn owned(&self, id: &str) -> usize {
        self.facts
            .iter()
            .filter(|facts| facts.owner.as_deref() == Some(id))
            .count()
    }

    fn check_balance(&self) {
        let loads = self.loads();
        let (min, max) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
        assert!(max - min <= 1, "{loads:?}");
    }

    fn check_standbys(&self) {
        let staying = self
            .members
            .iter()
            .filter(|member| !member.draining)
            .count();
        for facts in &self.facts {
            let wanted = if facts.global {
                staying - 1
            } else {
                self.standbys.min(staying - 1)
            };
            assert_eq!(facts.standbys.len(), wanted, "{facts:?}");
        }
    }
}

#[test]
fn members_that_come_and_go_leave_a_balanced_cluster_with_few_moves() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut cluster = Cluster::new(random.u32(1..20), random.usize(0..3));
        cluster.join(0, None, None);
        cluster.settle();
        for id in 1..12 {
            let total = cluster.facts.len();
            match random.u8(0..5) {
                0 if cluster.members.len() > 1 => {
                    let index = random.usize(..cluster.members.len());
                    let lost = cluster.owned(&cluster.members[index].id);
                    cluster.crash(index);
                    let moves = cluster.settle();
                    // Where the standbys are decides who takes over; then the balance may need as many moves again.
                    assert!(
                        moves <= 2 * lost,
                        "{moves} moves for {lost} lost partitions"
                    );
                }
                1 if cluster.members.len() > 1 => {
                    let index = random.usize(..cluster.members.len());
                    let standbys = |cluster: &Cluster| {
                        let facts = cluster.facts.iter();
                        facts.map(|facts| facts.standbys.len()).sum::<usize>()
                    };
                    let (of_it, all) = (
                        cluster.owned(&cluster.members[index].id),
                        standbys(&cluster),
                    );
                    cluster.members[index].cut_off = true;
                    assert_eq!(cluster.settle(), of_it, "only what has to move moves");
                    assert_eq!(cluster.owned(&cluster.members[index].id), 0);
                    assert_eq!(standbys(&cluster), all, "it follows on");
                    cluster.members[index].cut_off = false;
                    cluster.settle();
                }
                2 if cluster.members.len() > 1 => {
                    let index = random.usize(..cluster.members.len());
                    cluster.members[index].draining = true;
                    let leaving = cluster.owned(&cluster.members[index].id);
                    let moves = cluster.settle();
                    assert_eq!(moves, leaving, "only what has to move moves");
                    assert_eq!(cluster.owned(&cluster.members[index].id), 0);
                    cluster.crash(index);
                    assert_eq!(cluster.settle(), 0);
                }
                _ => {
                    cluster.join(id, None, None);
                    let moves = cluster.settle();
                    assert!(
                        moves <= total.div_ceil(cluster.members.len()),
                        "{moves} moves"
                    );
                }
            }
            cluster.check_balance();
            cluster.check_standbys();
        }
    }
}

#[test]
fn nothing_moves_to_one_that_is_behind_whatever_the_order_of_events() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut cluster = Cluster::new(random.u32(1..12), random.usize(0..3));
        cluster.join(0, None, None);
        for id in 1..60 {
            match random.u8(0..8) {
                0 if cluster.members.len() > 1 => {
                    cluster.crash(random.usize(..cluster.members.len()));
                }
                1 => {
                    let index = random.usize(..cluster.members.len());
                    cluster.members[index].draining ^= true;
                }
                2 => {
                    let index = random.usize(..cluster.members.len());
                    cluster.members[index].cut_off ^= true;
                }
                3 if cluster.members.len() < 6 => {
                    let serve = random
                        .bool()
                        .then(|| (0..12).filter(|_| random.bool()).collect());
                    cluster.join(id, ["x", "y"].get(random.usize(0..3)).copied(), serve);
                }
                _ => {}
            }
            // The step itself checks.
            cluster.step(|| random.bool());
        }
        cluster.settle();
    }
}

#[test]
fn pinned_partitions_stay_with_those_that_serve_them() {
    let mut cluster = Cluster::new(4, 0);
    cluster.join(0, None, Some(BTreeSet::from([0, 1])));
    cluster.join(1, None, Some(BTreeSet::from([1, 2])));
    cluster.settle();
    let owner = |cluster: &Cluster, number: usize| cluster.facts[number].owner.clone();
    assert_eq!(owner(&cluster, 0).as_deref(), Some("n00"));
    assert_eq!(owner(&cluster, 2).as_deref(), Some("n01"));
    assert_eq!(owner(&cluster, 3), None);
    // Balanced through a chain: 0 and 1 can't swap directly what 2 could take.
    cluster.join(2, None, Some(BTreeSet::from([2, 3])));
    cluster.settle();
    cluster.check_balance();
}

#[test]
fn copies_are_spread_over_zones() {
    let mut cluster = Cluster::new(6, 1);
    for (id, zone) in ["x", "x", "y", "y"].into_iter().enumerate() {
        cluster.join(id, Some(zone), None);
    }
    cluster.settle();
    for facts in cluster.facts.iter().filter(|facts| !facts.global) {
        let zone = |id: &String| {
            cluster
                .members
                .iter()
                .find(|member| member.id == *id)
                .unwrap()
                .zone
                .clone()
        };
        assert_ne!(
            zone(facts.owner.as_ref().unwrap()),
            zone(&facts.standbys[0])
        );
    }
}
