//! Errors of librdkafka as errors of the log.

use std::io;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::log::LogError;

/// `map_err(client_error("start a producer"))`.
pub(super) fn client_error(what: &str) -> impl FnOnce(KafkaError) -> LogError {
    move |error| match error {
        // The value may be a secret, and librdkafka's own words do not hold it.
        KafkaError::ClientConfig(_, why, name, _) => {
            LogError::Setup(format!("`kafka.{name}`: {why}"))
        }
        KafkaError::ClientCreation(why) => LogError::Setup(format!("can't {what} of Kafka: {why}")),
        error => LogError::Io {
            what: format!("can't {what} of Kafka"),
            source: io::Error::other(error),
        },
    }
}

/// Whether asking again can't help: somebody has to change something first.
pub(super) fn is_permanent(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedVersion
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType
            | Code::NotImplemented
            | Code::UnsupportedFeature
            | Code::InvalidTopic
            | Code::SSL
    )
}
