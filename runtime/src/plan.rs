//! Which node owns each partition, and which nodes follow it. A pure function of what is known of the cluster.
//!
//! It works in two steps. The *aim* is where each partition should be owned in the end: balanced within one partition, with as few moves as
//! possible. The *plan* is what to do now: a partition whose owner lives stays where it is until the node it should move to has
//! caught up as a standby, so a move costs no waiting; and one whose owner is gone goes to a standby that is in sync.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::log::TopicPartition;

/// A node that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, unique in the cluster.
    pub id: String,
    /// Where it stands (`--zone`): copies of a partition are spread over zones.
    pub zone: Option<String>,
    /// The partitions that it may have, of each topic (`--serve`); all if `None`.
    pub serve: Option<BTreeSet<u32>>,
    /// The topics that it knows; all if `None`. It can have partitions of no others.
    pub topics: Option<BTreeSet<Arc<str>>>,
    /// It is about to leave: it keeps a partition only until another node has it.
    pub draining: bool,
    /// It can't reach the log: it keeps a partition only until another node has it, and follows others all the same.
    pub cut_off: bool,
}

/// What is known of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The partition.
    pub partition: TopicPartition,
    /// Each node has a copy, and `--serve` does not apply.
    pub global: bool,
    /// Who owns it now. It may be gone.
    pub owner: Option<String>,
    /// Who follows it now, in order.
    pub standbys: Vec<String>,
    /// Who holds all of it but the last moments.
    pub in_sync: BTreeSet<String>,
}

/// Who shall have one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Who shall own it; `None` if no node may.
    pub owner: Option<String>,
    /// Who shall follow it; the first of them takes over if the owner dies.
    pub standbys: Vec<String>,
}

/// The plan for all partitions, in their order. `standbys` is the number of nodes that follow each partition besides its owner, if there are so many.
///
/// ```
/// use memgen::{log::TopicPartition, plan::{Facts, Member, plan}};
///
/// let member = |id: &str| Member { id: id.to_owned(), zone: None, serve: None, topics: None, draining: false, cut_off: false };
/// let facts: Vec<Facts> = (0..4)
///     .map(|number| Facts {
///         partition: TopicPartition::new("graph", number),
///         global: false,
///         owner: None,
///         standbys: Vec::new(),
///         in_sync: Default::default(),
///     })
///     .collect();
/// let assigned = plan(&[member("a"), member("b")], &facts, 1);
/// assert_eq!(assigned.iter().filter(|one| one.owner.as_deref() == Some("a")).count(), 2);
/// assert!(assigned.iter().all(|one| one.standbys.len() == 1 && one.owner.as_ref() != one.standbys.first()));
/// ```
#[must_use]
pub fn plan(members: &[Member], facts: &[Facts], standbys: usize) -> Vec<Assignment> {
    let members: BTreeMap<&str, &Member> =
        members.iter().map(|member| (&*member.id, member)).collect();
    let able: Vec<Able<'_>> = facts.iter().map(|facts| able(&members, facts)).collect();
    let aims = aims(&able, facts);
    let owners: Vec<Option<&str>> = (0..facts.len())
        .map(|index| owner_now(&members, &able[index], &facts[index], aims[index]))
        .collect();
    let followers = followers(&members, &able, facts, &owners, &aims, standbys);
    owners
        .into_iter()
        .zip(followers)
        .map(|(owner, standbys)| Assignment {
            owner: owner.map(str::to_owned),
            standbys: standbys.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

/// The nodes that may have a partition.
struct Able<'a> {
    /// Those that stay, and reach the log.
    well: BTreeSet<&'a str>,
    /// Those that stay.
    staying: BTreeSet<&'a str>,
    /// All of them.
    all: BTreeSet<&'a str>,
}

impl<'a> Able<'a> {
    /// Those to choose an owner from: one that is cut off, or about to leave, only if there is no other.
    fn owners(&self) -> &BTreeSet<&'a str> {
        [&self.well, &self.staying]
            .into_iter()
            .find(|some| !some.is_empty())
            .unwrap_or(&self.all)
    }
}

fn able<'a>(members: &BTreeMap<&'a str, &'a Member>, facts: &Facts) -> Able<'a> {
    let may = |member: &Member| {
        let serve = member.serve.as_ref();
        let topics = member.topics.as_ref();
        topics.is_none_or(|topics| topics.contains(&facts.partition.topic))
            && (facts.global
                || serve.is_none_or(|serve| serve.contains(&facts.partition.partition)))
    };
    let named = |also: fn(&Member) -> bool| {
        members
            .iter()
            .filter(|(_, member)| may(member) && also(member))
            .map(|(id, _)| *id)
            .collect()
    };
    Able {
        well: named(|member| !member.draining && !member.cut_off),
        staying: named(|member| !member.draining),
        all: named(|_| true),
    }
}

/// How many partitions each node has, in all and by topic.
#[derive(Default)]
struct Load<'a> {
    all: BTreeMap<&'a str, usize>,
    by_topic: BTreeMap<(&'a str, &'a str), usize>,
}

impl<'a> Load<'a> {
    fn of(&self, node: &str) -> usize {
        self.all.get(node).copied().unwrap_or(0)
    }

    fn of_topic(&self, node: &'a str, topic: &'a str) -> usize {
        self.by_topic.get(&(node, topic)).copied().unwrap_or(0)
    }

    fn add(&mut self, node: &'a str, topic: &'a str) {
        *self.all.entry(node).or_default() += 1;
        *self.by_topic.entry((node, topic)).or_default() += 1;
    }

    fn remove(&mut self, node: &'a str, topic: &'a str) {
        *self.all.entry(node).or_default() -= 1;
        *self.by_topic.entry((node, topic)).or_default() -= 1;
    }
}

/// Where each partition should be owned in the end.
fn aims<'a>(able: &[Able<'a>], facts: &'a [Facts]) -> Vec<Option<&'a str>> {
    let topic = |index: usize| &*facts[index].partition.topic;
    let mut load = Load::default();
    let mut aims: Vec<Option<&str>> = vec![None; facts.len()];
    for (index, able) in able.iter().enumerate() {
        let owner = facts[index].owner.as_deref();
        if let Some(owner) = owner.and_then(|owner| able.owners().get(owner).copied()) {
            aims[index] = Some(owner);
            load.add(owner, topic(index));
        }
    }
    let nodes: BTreeSet<&str> = able
        .iter()
        .flat_map(|able| able.owners().iter().copied())
        .collect();
    let share = facts.len().div_ceil(nodes.len().max(1));
    for index in 0..facts.len() {
        if aims[index].is_some() {
            continue;
        }
        let in_sync = &facts[index].in_sync;
        let aim = able[index].owners().iter().copied().min_by_key(|node| {
            // A standby that holds it already is as good as free, as long as its share allows.
            let ready = in_sync.contains(*node) && load.of(node) < share;
            (
                !ready,
                load.of(node),
                load.of_topic(node, topic(index)),
                *node,
            )
        });
        if let Some(aim) = aim {
            aims[index] = Some(aim);
            load.add(aim, topic(index));
        }
    }
    while let Some(moves) = balancing_moves(able, facts, &aims, &load, &nodes) {
        for (index, to) in moves {
            if let Some(from) = aims[index].replace(to) {
                load.remove(from, topic(index));
            }
            load.add(to, topic(index));
        }
    }
    aims
}

/// The shortest chain of moves that takes one partition from a node to one that has at least two fewer. Without `--serve` it is one move.
fn balancing_moves<'a>(
    able: &[Able<'a>],
    facts: &'a [Facts],
    aims: &[Option<&'a str>],
    load: &Load<'a>,
    nodes: &BTreeSet<&'a str>,
) -> Option<Vec<(usize, &'a str)>> {
    let mut fullest: Vec<&str> = nodes.iter().copied().collect();
    fullest.sort_by_key(|node| std::cmp::Reverse(load.of(node)));
    for start in fullest {
        // Breadth first over the nodes that could be relieved by one another.
        let mut came_by: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        let mut best: Option<&str> = None;
        while let Some(from) = queue.pop_front() {
            for to in nodes.iter().copied() {
                if to == start || came_by.contains_key(to) {
                    continue;
                }
                let movable = (0..facts.len()).filter(|index| {
                    aims[*index] == Some(from) && able[*index].owners().contains(to)
                });
                let cheapest = movable.min_by_key(|index| {
                    let facts = &facts[*index];
                    let topic = &*facts.partition.topic;
                    // What is not there yet moves for nothing; a standby in sync takes over without waiting.
                    let settled = facts.owner.as_deref() == Some(from);
                    let excess = load.of_topic(to, topic).cast_signed()
                        - load.of_topic(from, topic).cast_signed();
                    (settled, !facts.in_sync.contains(to), excess, *index)
                });
                if let Some(index) = cheapest {
                    came_by.insert(to, (index, from));
                    queue.push_back(to);
                    let gain = load.of(start) >= load.of(to) + 2;
                    if gain && best.is_none_or(|best| load.of(to) < load.of(best)) {
                        best = Some(to);
                    }
                }
            }
        }
        if let Some(end) = best {
            let mut moves = Vec::new();
            let mut at = end;
            while at != start {
                let (index, from) = came_by[at];
                moves.push((index, at));
                at = from;
            }
            return Some(moves);
        }
    }
    None
}

/// Who owns the partition now, on its way to the aim.
fn owner_now<'a>(
    members: &BTreeMap<&'a str, &'a Member>,
    able: &Able<'a>,
    facts: &Facts,
    aim: Option<&'a str>,
) -> Option<&'a str> {
    let aim = aim?;
    if facts.in_sync.contains(aim) {
        return Some(aim);
    }
    let living = facts
        .owner
        .as_deref()
        .and_then(|owner| members.get_key_value(owner));
    if let Some((owner, _)) = living
        && able.all.contains(owner)
    {
        return Some(owner);
    }
    let ready = |node: &&str| facts.in_sync.contains(*node);
    let in_order = facts
        .standbys
        .iter()
        .filter_map(|node| able.all.get(&**node).copied());
    in_order
        .chain(able.owners().iter().copied())
        .find(ready)
        .or(Some(aim))
}

/// Who follows each partition: who did before, as far as that is balanced and spread over zones.
fn followers<'a>(
    members: &BTreeMap<&'a str, &'a Member>,
    able: &[Able<'a>],
    facts: &[Facts],
    owners: &[Option<&'a str>],
    aims: &[Option<&'a str>],
    standbys: usize,
) -> Vec<Vec<&'a str>> {
    let mut choice = Choice {
        members,
        able,
        facts,
        owners,
        load: BTreeMap::new(),
        chosen: vec![Vec::new(); facts.len()],
    };
    let wanted = |facts: &Facts| if facts.global { usize::MAX } else { standbys };
    for (index, facts) in facts.iter().enumerate() {
        let wanted = wanted(facts);
        // The one that shall own it has to catch up first.
        if let Some(next) = aims[index].filter(|aim| Some(*aim) != owners[index]) {
            choice.choose(index, next);
        }
        for before in &facts.standbys {
            let node = choice.free(index).find(|node| node == before);
            let room = choice.chosen[index].len() < wanted;
            if let Some(node) = node.filter(|node| room && !choice.better_zone(index, node)) {
                choice.choose(index, node);
            }
        }
    }
    for (index, facts) in facts.iter().enumerate() {
        let wanted = wanted(facts);
        while choice.chosen[index].len() < wanted
            && let Some(node) = choice.best(index)
        {
            choice.choose(index, node);
        }
    }
    while choice.balance(aims) {}
    (0..facts.len())
        .map(|index| choice.in_order(index, standbys))
        .collect()
}

/// The standbys that are chosen so far.
struct Choice<'c, 'a> {
    members: &'c BTreeMap<&'a str, &'a Member>,
    able: &'c [Able<'a>],
    facts: &'c [Facts],
    owners: &'c [Option<&'a str>],
    load: BTreeMap<&'a str, usize>,
    chosen: Vec<Vec<&'a str>>,
}

impl<'a> Choice<'_, 'a> {
    /// The nodes that could follow the partition besides those that are chosen.
    fn free(&self, index: usize) -> impl Iterator<Item = &'a str> {
        let chosen = &self.chosen[index];
        let owner = self.owners[index];
        let staying = self.able[index].staying.iter().copied();
        staying.filter(move |node| Some(*node) != owner && !chosen.contains(node))
    }

    fn choose(&mut self, index: usize, node: &'a str) {
        *self.load.entry(node).or_default() += 1;
        self.chosen[index].push(node);
    }

    fn load(&self, node: &str) -> usize {
        self.load.get(node).copied().unwrap_or(0)
    }

    fn zone(&self, node: &str) -> Option<&'a str> {
        self.members
            .get(node)
            .and_then(|member| member.zone.as_deref())
    }

    /// Whether the node stands in the zone of another one that has the partition.
    fn same_zone(&self, index: usize, node: &str, except: Option<&str>) -> bool {
        let others = self.owners[index].iter().chain(&self.chosen[index]);
        let zone = self.zone(node);
        zone.is_some()
            && others
                .filter(|other| Some(**other) != except)
                .any(|other| self.zone(other) == zone)
    }

    /// Whether another node would spread the partition further.
    fn better_zone(&self, index: usize, node: &str) -> bool {
        self.same_zone(index, node, None)
            && self
                .free(index)
                .any(|other| !self.same_zone(index, other, None))
    }

    /// Whether it follows already: it may have caught up, or be about to.
    fn follows(&self, index: usize, node: &str) -> bool {
        self.facts[index].standbys.iter().any(|other| other == node)
    }

    fn best(&self, index: usize) -> Option<&'a str> {
        self.free(index).min_by_key(|node| {
            (
                self.same_zone(index, node, None),
                self.load(node),
                !self.follows(index, node),
                *node,
            )
        })
    }

    /// Lets one partition be followed by a node that has at least two fewer. Each time the sum of the squares gets less, so it comes to an end.
    fn balance(&mut self, aims: &[Option<&'a str>]) -> bool {
        for (index, aim) in aims.iter().enumerate() {
            if self.facts[index].global {
                continue;
            }
            for place in 0..self.chosen[index].len() {
                let from = self.chosen[index][place];
                if *aim == Some(from) {
                    continue;
                }
                let load = self.load(from);
                let spread = !self.same_zone(index, from, Some(from));
                let to = self
                    .free(index)
                    .filter(|to| load >= self.load(to) + 2)
                    .filter(|to| !spread || !self.same_zone(index, to, Some(from)))
                    .min_by_key(|to| (!self.follows(index, to), self.load(to), *to));
                if let Some(to) = to {
                    self.chosen[index].remove(place);
                    *self.load.entry(from).or_default() -= 1;
                    self.choose(index, to);
                    return true;
                }
            }
        }
        false
    }

    /// Those that are chosen, and those before them that leave only when these have caught up. One in sync is first: it takes over.
    fn in_order(&self, index: usize, standbys: usize) -> Vec<&'a str> {
        let in_sync = &self.facts[index].in_sync;
        let mut all = self.chosen[index].clone();
        let ready = all.iter().filter(|node| in_sync.contains(**node)).count();
        let leaving = self
            .free(index)
            .filter(|node| in_sync.contains(*node) && self.follows(index, node));
        all.extend(leaving.take(standbys.saturating_sub(ready)));
        all.sort_by_key(|node| !in_sync.contains(*node));
        all
    }
}

#[cfg(test)]
mod tests;
