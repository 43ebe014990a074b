//! Runtime.
pub mod batch;
pub mod key;
pub mod log;
pub mod record;
pub mod state;
