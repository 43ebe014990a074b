//! Runtime.
pub mod config;
pub mod docs;
pub mod key;
pub mod log;
pub mod logging;
pub mod metrics;
pub mod openapi;
pub mod operation;
pub mod problem;
pub mod progress;
pub mod record;
pub mod reply;
pub mod state;
pub use config::{Config, Limits};
pub use problem::{Problem, Result};
