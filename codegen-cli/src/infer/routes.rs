//! Where to look for operations.

use std::collections::{BTreeSet, HashMap};

use super::{
    candidate::Candidate,
    path::{blank, last},
    wishes::Wish,
};
use crate::model::Api;

/// Where to look for operations: a document may have a hundred thousand.
pub(super) struct Routes {
    /// Those on a route.
    pub(super) on: HashMap<String, Vec<usize>>,
    /// Those on paths without parameters, by the last segment.
    ending: HashMap<String, Vec<usize>>,
    /// Those that are to work on a state, by its name.
    wished: HashMap<String, Vec<usize>>,
}

impl Routes {
    pub(super) fn new(api: &Api, wishes: &HashMap<String, Wish>) -> Self {
        let mut routes = Self {
            on: HashMap::new(),
            ending: HashMap::new(),
            wished: HashMap::new(),
        };
        for (index, operation) in api.operations.iter().enumerate() {
            let path = &operation.path;
            routes.on.entry(blank(path)).or_default().push(index);
            if !path.contains('{') {
                let last = last(path).to_owned();
                routes.ending.entry(last).or_default().push(index);
            }
            if let Some(state) = wishes.get(&operation.id).and_then(|it| it.state.clone()) {
                routes.wished.entry(state).or_default().push(index);
            }
        }
        routes
    }

    /// The operations that may have to do with a resource, in the order of the document.
    pub(super) fn of(&self, candidate: &Candidate<'_>) -> BTreeSet<usize> {
        let wider = (candidate.key.len() > 1).then(|| self.ending.get(last(&candidate.collection)));
        [
            self.on.get(&blank(&candidate.item)),
            self.on.get(&blank(&candidate.collection)),
            self.wished.get(&candidate.name),
            wider.flatten(),
        ]
        .into_iter()
        .flatten()
        .flatten()
        .copied()
        .collect()
    }
}
