//! How many files the system lets this process open; each connection is one.

/// Raises the soft limit to the hard one, and returns it; `None` where there is no such limit.
///
/// The soft limit is low for the sake of programs that wait by `select(2)`, which can't name a higher file; we don't.
#[cfg(unix)]
pub(super) fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .is_ok();
    if raised { maximum } else { current }
}

#[cfg(not(unix))]
pub(super) fn raise() -> Option<u64> {
    None
}
