//! Services of documents that are not ours: generated, built, run as processes, and driven over HTTP with what the documents ask for.
//!
//! Each reply is held to the document. `examples/petstore` has a test of its own.

#[path = "driven/adyen.rs"]
mod adyen;
#[path = "driven/asana.rs"]
mod asana;
#[path = "driven/kubernetes.rs"]
mod kubernetes;
#[path = "driven/round_trip.rs"]
mod round_trip;
#[path = "driven/service.rs"]
mod service;
#[path = "driven/stripe.rs"]
mod stripe;
