//! Rules that a test can switch off, to see that it finds out.

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "simulations alone name them all")]
#[allow(unreachable_pub, reason = "a simulation alone shows it")]
pub enum Bug {
    /// Records of owners that were deposed count as all others do (rule 1 of the log).
    AnyBallot,
    /// An owner whose barrier lies behind one of a higher ballot serves all the same (rule 2).
    AnyBarrier,
    /// What was sent is answered before the log has acknowledged it (rule 3).
    EarlyReply,
    /// What nobody knows the outcome of counts as undone (rule 4).
    Guess,
    /// What is missing of a torn batch is not written (rule 5).
    NoRollForward,
    /// What a stale record may hide from compaction is not written again (rule 6).
    NoRepair,
    /// Reads are answered from memory whether the lease holds or not (rule 8).
    NoLease,
    /// An owner that steps down goes on with what it would have written (rule 9).
    KeepSpeculation,
    /// What requests were answered is forgotten by the next owner, and by this one (rule 10).
    NoReplies,
    /// A copy that may have missed a deletion is continued (rule 11).
    AnyAge,
    /// A process that is silent counts as gone (rule 12).
    DeathBySilence,
    /// What a transaction has read may be written by another one before it is decided.
    NoReadLocks,
    /// A key may come into a range that a transaction has read, or go from it, before it is decided.
    NoRangeLocks,
    /// Home decides before all others are prepared.
    Early,
    /// Home decides before it is prepared itself.
    Unstaged,
    /// Home says that it gave a transaction up before that is in the log.
    EarlyAbort,
    /// A new owner of home takes what it finds undecided for given up.
    GuessAbort,
    /// Who has said to a new owner of home that something is not prepared prepares it all the same.
    NoFloor,
    /// Who has said that something is prepared takes a later attempt of an earlier owner of home for it all the same.
    LateFloor,
    /// The versions of what was read are not checked.
    NoVersion,
    /// Reads do not wait for what is prepared.
    DirtyRead,
    /// What home knows nothing of counts as committed.
    CommitDoubt,
    /// An abort of an earlier attempt counts for a later one.
    NoAttempt,
    /// What makes a partition grow is taken in, whether there is memory for it or not.
    NoBudget,
}

#[cfg(feature = "testing")]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Breaks a rule on this thread, or none any more.
#[cfg(feature = "testing")]
pub fn set_broken(bug: Option<Bug>) {
    BROKEN.set(bug);
}

/// Whether a rule is broken on purpose.
#[cfg(feature = "testing")]
pub(crate) fn is_broken(bug: Bug) -> bool {
    BROKEN.get() == Some(bug)
}

/// Whether a rule is broken on purpose: outside of tests none ever is.
#[cfg(not(feature = "testing"))]
pub(crate) const fn is_broken(_: Bug) -> bool {
    false
}
