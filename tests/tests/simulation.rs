//! Random histories over whole nodes: some that are always the same, and some that never were before.

use std::ops::Range;

use memgen::testing::{Bug, set_broken};
use memgen_tests::{
    Random,
    simulate::{Counts, Plan, run},
};

fn holds(seed: u64) -> Counts {
    let plan = Plan::new(seed);
    match run(&plan, None) {
        Ok(counts) => counts,
        Err(failure) => panic!(
            "seed {seed}: {}: {}\ncargo run -p memgen-tests --bin simulate -- --from {seed} --seeds 1 --trace",
            failure.kind, failure.what
        ),
    }
}

#[test]
fn histories_hold() {
    let mut sum = Counts::default();
    for seed in 0..10 {
        sum.add(&holds(seed));
    }
    println!("{sum:?}");
    // A simulation in which nothing happened would show nothing.
    assert!(sum.answered > 500 && sum.takeovers > 50 && sum.harms > 20);
}

#[test]
fn histories_that_nobody_knows_hold() {
    let mut random = Random::new();
    for _ in 0..5 {
        holds(random.next());
    }
}

#[test]
fn a_history_follows_from_its_seed() {
    for seed in 20..22 {
        let (first, again) = (holds(seed), holds(seed));
        assert_eq!(first.hash, again.hash, "seed {seed}");
    }
}

/// Breaks a rule, and expects that one of these histories shows it.
fn is_found(bug: Bug, mut seeds: Range<u64>) {
    set_broken(Some(bug));
    let found = seeds.find(|seed| run(&Plan::new(*seed), None).is_err());
    set_broken(None);
    println!("{bug:?} is found at seed {found:?}");
    assert!(found.is_some(), "{bug:?} is not found");
}

macro_rules! found {
    ($($test:ident: $bug:ident in $seeds:expr,)*) => {$(
        #[test]
        fn $test() {
            is_found(Bug::$bug, $seeds);
        }
    )*};
}

// Three are found late, and are looked for from shortly before: RELIABILITY.md has the numbers from 0. What switches off a rule of transactions is found by the simulation of the writers alone, in the runtime's own tests.
found! {
    a_log_without_ballots_is_found: AnyBallot in 0..40,
    answers_before_the_log_s_are_found: EarlyReply in 0..40,
    guesses_are_found: Guess in 80..120,
    batches_that_stay_torn_are_found: NoRollForward in 170..200,
    what_stale_records_hide_is_found: NoRepair in 0..60,
    reads_without_a_lease_are_found: NoLease in 0..40,
    writes_of_an_owner_that_stepped_down_are_found: KeepSpeculation in 0..40,
    requests_that_are_forgotten_are_found: NoReplies in 0..40,
    deletions_that_are_missed_are_found: AnyAge in 60..110,
    death_by_silence_is_found: DeathBySilence in 0..40,
    what_goes_in_without_memory_is_found: NoBudget in 0..60,
}
