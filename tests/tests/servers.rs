//! The real servers that other tests stand on.

use memgen_cli::servers::{Jars, Kafka, ZooKeeper};

#[test]
fn brokers_and_ensembles_come_up_die_and_come_back() {
    let jars = Jars::fetch().expect("Java and Maven are installed");
    let folder = tempfile::tempdir().expect("a folder");
    let mut kafka = Kafka::create(&jars, folder.path(), 3).expect("brokers");
    let mut zookeeper = ZooKeeper::create(&jars, folder.path(), 3).expect("an ensemble");
    zookeeper.start().expect("it answers");
    kafka.start().expect("they answer");
    assert_eq!(kafka.addresses().split(',').count(), 3);

    for servers in [kafka.servers(), zookeeper.servers()] {
        servers[0].kill().expect("it runs");
        assert!(!servers[0].is_running());
        assert!(servers[1].is_running());
        servers[1].pause().expect("it runs");
        servers[1].resume().expect("it is there");
        servers[2].stop().expect("it ends by itself");
    }
    kafka.start().expect("they come back on their ports");
    zookeeper.start().expect("they come back on their ports");
}
