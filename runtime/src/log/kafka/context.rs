//! What librdkafka says on its own, in the service's words.

use rdkafka::{
    ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError,
};
use tracing::{debug, info, warn};

/// What a client is for, as its lines of the log say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context(pub(super) &'static str);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.0;
        match level {
            // Settings of producers are given to consumers as well, and the other way round.
            _ if facility == "CONFWARN" => debug!(client, facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Debug => debug!(client, facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                info!(client, facility, "librdkafka: {message}");
            }
            // It goes on by itself; what can't is an error where it was asked for.
            _ => warn!(client, facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Each of them is a line of the log as well.
        debug!(client = self.0, %error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Context {}
