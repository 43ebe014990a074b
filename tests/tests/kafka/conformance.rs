//! The suite that every log passes.

use memgen::log::conformance;

use crate::common::{Cluster, ONE, THREE, prefix};

async fn conforms(cluster: &Cluster) {
    let _steady = cluster.steady().await;
    conformance::suite(async || cluster.open(&prefix()).await).await;
    let prefix = prefix();
    conformance::reopened(async || cluster.open(&prefix).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_conform() {
    conforms(&THREE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broker_conforms() {
    conforms(&ONE).await;
}
