//! The log on Kafka, with real brokers. They are started once, and shared by all tests of this binary.

#[path = "kafka/common.rs"]
mod common;
#[path = "kafka/conformance.rs"]
mod conformance;
