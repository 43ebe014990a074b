//! A reply whose body is the entity itself, as its command leaves it.
//!
//! The writer serializes the entity for the log anyway, so those bytes become the body, too.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;

/// Stands for a body that is filled in when the entity's bytes are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TheEntity;

impl TheEntity {
    /// A reply with this status, to be filled.
    pub(crate) fn reply(status: StatusCode) -> Response<Body> {
        let mut response = status.into_response();
        response.extensions_mut().insert(Self);
        response
    }

    /// The reply with the entity's bytes, if it waits for them.
    pub(crate) fn fill(mut response: Response<Body>, value: Option<Bytes>) -> Response<Body> {
        if let Some(value) = value
            && response.extensions_mut().remove::<Self>().is_some()
        {
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            *response.body_mut() = Body::from(value);
        }
        response
    }

    /// The reply is to stay without a body.
    pub(crate) fn leave_out(response: &mut Response<Body>) {
        response.extensions_mut().remove::<Self>();
    }
}
