//! Random histories over whole nodes in a simulation ([`memgen::testing`]), and whether what their clients saw can be right.
//!
//! A [`Plan`] says what clients do and what happens to nodes. It follows from a seed, and so does all that comes of it. A plan that fails is made smaller ([`shrink`]) for as
//! long as it fails in the same way.
//!
//! | module | what |
//! |---|---|
//! | `service` | piles of items, to which commands and transactions append |
//! | `plan` | what is done |
//! | `client` | one client, and what it was told |
//! | `watcher` | one change feed, from node to node |
//! | `harm` | what happens to nodes |
//! | `history` | one run: faults, then quiet, then the checks |
//! | `memory` | whether nodes without memory take more in, and whether all know what they hold |
//! | `state` | all that there is at the end, and whether it can be |
//! | `checker` | whether all of it is strictly serializable, and bounded reads are not too old |

mod checker;
mod client;
mod harm;
mod history;
mod memory;
mod plan;
mod service;
mod state;
mod watcher;

pub use self::{
    history::{Counts, Failure, run},
    plan::Plan,
};

/// How often a smaller plan is tried.
const TRIES_MAX: usize = 1000;

/// The smallest plan that was found to fail with the same kind of failure.
#[must_use]
pub fn shrink(plan: &Plan, failure: &Failure) -> (Plan, Failure) {
    let (mut plan, mut failure) = (plan.clone(), failure.clone());
    let (mut tries, mut share) = (0, 2);
    while tries < TRIES_MAX && share <= 2 * plan.size() {
        let mut smaller = false;
        for part in 0..share {
            for candidate in plan.without(part, share) {
                tries += 1;
                if let Err(found) = run(&candidate, None)
                    && found.kind == failure.kind
                {
                    (plan, failure, smaller) = (candidate, found, true);
                }
            }
        }
        if !smaller {
            share *= 2;
        }
    }
    (plan, failure)
}
