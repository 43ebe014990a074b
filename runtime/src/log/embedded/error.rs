//! Shorthands for the errors of the embedded log.

use std::{io, path::Path};

use crate::log::LogError;

/// `map_err(io_error("open", path))`.
pub(super) fn io_error(what: &str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    move |source| LogError::Io {
        what: format!("can't {what} {}", path.display()),
        source,
    }
}

/// Damage at a place, with what can be done about it.
pub(super) fn corrupt(path: &Path, position: u64, what: &str) -> LogError {
    LogError::Corrupt {
        path: path.to_owned(),
        position,
        what: format!(
            "{what}, though it had been durable; nothing was changed. Restore the folder from a backup, \
             or check the disk: it no longer gives back what was stored"
        ),
    }
}

/// Whether an error says that there is no room: on the disk, in a quota, or below a limit on the length of files.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
