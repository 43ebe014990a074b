//! The suite that every log passes.

use memgen::log::conformance;

use crate::common::{ONE, THREE, open, prefix};

async fn conforms(brokers: &str) {
    conformance::suite(async || open(brokers, &prefix()).await).await;
    let prefix = prefix();
    conformance::reopened(async || open(brokers, &prefix).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_conform() {
    conforms(&THREE.addresses).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broker_conforms() {
    conforms(&ONE.addresses).await;
}
