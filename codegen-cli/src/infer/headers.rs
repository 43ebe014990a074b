//! Headers that a document declares, and that no state can know.

use crate::model::{Header, Response, Status};

/// What the runtime sends by itself.
const SENT: [&str; 5] = ["content-length", "content-type", "etag", "link", "location"];

/// The headers of successes that an operation on a state does not send.
pub(super) fn unsent(responses: &[Response]) -> impl Iterator<Item = &Header> {
    let successes = responses
        .iter()
        .filter(|response| matches!(response.status, Status::Code(200..=299) | Status::Class(2)));
    let headers = successes.flat_map(|response| &response.headers);
    headers.filter(|header| {
        let mut sent = SENT.iter();
        !sent.any(|sent| sent.eq_ignore_ascii_case(&header.name))
    })
}
