//! What services log that run within a test.

use std::sync::Once;

use tracing_subscriber::{EnvFilter, fmt::TestWriter};

/// From now on, what is logged in this process is part of the output of tests, and so is shown of those that fail. `RUST_LOG` says what; otherwise it is `info`.
pub fn log_to_tests() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(TestWriter::new())
            .init();
    });
}
