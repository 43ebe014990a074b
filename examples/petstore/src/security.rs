//! Who may do what. Operations that ask for one of these are closed until it says yes:
//!
//! - `staff` (apiKey)

use memgen::contract::prelude::*;

/// Looks at the credentials of one request. `configured` takes those that the setting `credentials` lists,
/// such as `--credentials api_key=secret`; put your own check in its place.
pub async fn authenticate(attempt: Attempt) -> Result<Principal> {
    attempt.configured()
}
