//! What the client's errors mean to callers.

use zookeeper_client::Error;

use crate::coordinator::CoordinatorError;

/// Whether access is what fails: asking again does not help.
pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::NoAuth | Error::AuthFailed | Error::InvalidAcl)
}

/// The error as callers see it. Whatever else it is, what was asked for may have happened or not.
pub(super) fn of_caller(error: &Error) -> CoordinatorError {
    if is_denied(error) {
        CoordinatorError::Refused(format!(
            "ZooKeeper denies access ({error}): check the user and the password of --coordinator, and the root"
        ))
    } else {
        CoordinatorError::Unreachable(error.to_string())
    }
}
