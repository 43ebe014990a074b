//! The coordinator on a real ensemble, with everything that may happen to servers, sessions and the network between.

#[path = "zookeeper/access.rs"]
mod access;
#[path = "zookeeper/cuts.rs"]
mod cuts;
#[path = "zookeeper/ensemble.rs"]
mod ensemble;
#[path = "zookeeper/kit.rs"]
mod kit;
#[path = "zookeeper/processes.rs"]
mod processes;

use memgen::coordinator::conformance::suite;

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let one = kit::one_server();
    suite(&|| kit::node_of(&one.address("/conforms"))).await;
}
