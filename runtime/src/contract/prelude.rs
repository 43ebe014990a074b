//! What generated files and the handlers of a document use: `use memgen::contract::prelude::*;`.

pub use std::collections::BTreeMap;

pub use axum::{Json, http::StatusCode};
pub use bytes::Bytes;
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};
pub use serde_json::Value;
pub use uuid::Uuid;

pub use memgen_macros::{Body, Reply};

pub use super::{
    Attempt, Base64, Credentials, Cx, Date, DateTime, Decimal, EventStream, File, Principal, now,
    nullable,
};
pub use crate::{
    Problem, Result, Store, operations,
    problem::{
        BadRequest, Conflict, Forbidden, Gone, Invalid, NotFound, PreconditionFailed, Unavailable,
    },
    stateful_api,
};
