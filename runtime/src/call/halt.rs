//! Why a call ends before its function has answered.

use axum::response::{IntoResponse as _, Response};

use super::Call;
use crate::{key::KeyError, problem::Problem};

/// Why a call ends early.
pub struct Halt(pub(crate) Why);

/// Why a call ends early.
pub(crate) enum Why {
    /// It is answered.
    Answered(Box<Response>),
    /// This node owned the key's partition and does no longer. Nothing happened: this is the same call, to be made again.
    Moved(Call),
}

impl std::fmt::Debug for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Why::Answered(response) => write!(f, "Answered({})", response.status()),
            Why::Moved(_) => f.write_str("Moved"),
        }
    }
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        problem.into_response().into()
    }
}

impl From<Response> for Halt {
    fn from(response: Response) -> Self {
        Self(Why::Answered(Box::new(response)))
    }
}

impl From<KeyError> for Halt {
    fn from(error: KeyError) -> Self {
        Problem::bad_request(format!("the key in the path: {error}")).into()
    }
}
