//! `Prefer: return=minimal` (RFC 7240): the same success without a body.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use crate::{reply::NoContent, the_entity::TheEntity};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `Prefer: return=minimal` (RFC 7240).
pub(super) fn prefers_minimal(headers: &HeaderMap) -> bool {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|preference| preference.trim().eq_ignore_ascii_case("return=minimal"))
        })
}

/// The same success without a body.
pub(super) fn minimize(mut response: Response) -> Response {
    if !response.status().is_success() {
        return response;
    }
    TheEntity::leave_out(&mut response);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        PREFERENCE_APPLIED,
        HeaderValue::from_static("return=minimal"),
    );
    if parts.status == StatusCode::OK {
        parts.status = NoContent.into_response().status();
    }
    Response::from_parts(parts, Body::empty())
}
