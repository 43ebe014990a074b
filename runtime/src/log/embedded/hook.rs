//! Where tests let the disk fail or the process stop.

use std::io;
#[cfg(feature = "testing")]
use std::sync::Arc;

/// A moment at which the disk may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Before a group is written, or a journal made.
    Write,
    /// Before a journal is synced.
    Sync,
    /// Before a part of a compaction is written.
    CompactionWrite,
    /// The compacted segments are written and durable, under names that mean nothing.
    CompactionWritten,
    /// They have their names.
    CompactionNamed,
    /// The manifest names them.
    CompactionSwitched,
    /// The first of the files that they replace is gone.
    CompactionRemovedOne,
    /// All of them are.
    CompactionDone,
}

/// What happens at each [`Step`].
#[derive(Clone, Default)]
pub struct Hook {
    #[cfg(feature = "testing")]
    hook: Option<Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>>,
}

impl Hook {
    /// Calls `hook` at each step; its error is taken for the disk's.
    #[cfg(feature = "testing")]
    pub fn new(hook: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(Arc::new(hook)),
        }
    }

    #[cfg(feature = "testing")]
    pub(super) fn at(&self, step: Step) -> io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook(step))
    }

    #[cfg(not(feature = "testing"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "it fails in simulations only"
    )]
    pub(super) fn at(&self, _step: Step) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}
