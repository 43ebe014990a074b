//! Rules that a test can switch off, to see that it finds out.

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "tests alone name them all")]
pub(crate) enum Bug {
    /// What a transaction has read may be written by another one before it is decided.
    NoReadLocks,
    /// A key may come into a range that a transaction has read, or go from it, before it is decided.
    NoRangeLocks,
    /// Home decides before all others are prepared.
    Early,
    /// The versions of what was read are not checked.
    NoVersion,
    /// Reads do not wait for what is prepared.
    DirtyRead,
    /// What home knows nothing of counts as committed.
    CommitDoubt,
    /// An abort of an earlier attempt counts for a later one.
    NoAttempt,
}

#[cfg(all(test, feature = "simulation"))]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Breaks a rule on this thread, or none any more.
#[cfg(all(test, feature = "simulation"))]
pub(crate) fn set_broken(bug: Option<Bug>) {
    BROKEN.set(bug);
}

/// Whether a rule is broken on purpose.
#[cfg(all(test, feature = "simulation"))]
pub(crate) fn is_broken(bug: Bug) -> bool {
    BROKEN.get() == Some(bug)
}

/// Whether a rule is broken on purpose: outside of tests none ever is.
#[cfg(not(all(test, feature = "simulation")))]
pub(crate) const fn is_broken(_: Bug) -> bool {
    false
}
