//! The log on Kafka, with real brokers. They are started once, and shared by all tests of this binary.

#[path = "kafka/common.rs"]
mod common;
#[path = "kafka/conformance.rs"]
mod conformance;
#[path = "kafka/faults.rs"]
mod faults;
#[path = "kafka/leader.rs"]
mod leader;
#[path = "kafka/others.rs"]
mod others;
#[path = "kafka/service.rs"]
mod service;
#[path = "kafka/topics.rs"]
mod topics;
