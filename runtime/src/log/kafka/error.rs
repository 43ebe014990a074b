//! Errors of librdkafka as errors of the log.

use std::io;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{config::is_secret, log::LogError};

/// `map_err(client_error("start a producer"))`.
pub(super) fn client_error(what: &str) -> impl FnOnce(KafkaError) -> LogError {
    move |error| match error {
        KafkaError::ClientConfig(_, why, name, value) => {
            let why = if is_secret(&name) {
                why.replace(&value, "…")
            } else {
                why
            };
            LogError::Setup(format!("`kafka.{name}`: {why}{}", hint(&why)))
        }
        KafkaError::ClientCreation(why) => {
            LogError::Setup(format!("can't {what} of Kafka: {why}{}", hint(&why)))
        }
        error => LogError::Io {
            what: format!("can't {what} of Kafka"),
            source: io::Error::other(error),
        },
    }
}

/// What to do about something that librdkafka was built without.
fn hint(why: &str) -> &'static str {
    if why.contains("OpenSSL not available") {
        "; build the service with the feature `kafka-tls` of memgen"
    } else {
        ""
    }
}

/// Whether there is no such topic or partition, as far as a broker or the client knows.
pub(super) fn is_unknown(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition
    )
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
