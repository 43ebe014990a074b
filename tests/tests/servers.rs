//! The real servers that other tests stand on.

use std::process::{Command, Stdio};

use memgen_cli::servers::{Jars, Kafka, ZooKeeper};
use memgen_tests::{Folder, Service, binaries::binary, project};
use serde_json::json;

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

/// Stops the servers if the test does not.
struct Background(Folder);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = project::memgen(self.0.path(), &["servers", "down"]);
    }
}

/// In the background, as a developer has them.
#[tokio::test]
async fn servers_run_until_they_are_told_to_stop() {
    let background = Background(Folder::new());
    let folder = &background.0;
    let ports = ["--kafka-port", "22092", "--zookeeper-port", "22181"];
    let up = || project::memgen(folder.path(), &[&["servers", "up"], &ports[..]].concat());
    let (code, flags, said) = up();
    assert_eq!(code, 0, "{said}");
    let flags: Vec<&str> = flags.split_whitespace().collect();

    // They are what a service needs.
    let service = Service::new("register").args(&flags);
    let mut running = service.start().await;
    let reply = running.client().put("/r/a", &json!({"value": 1})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(running.terminate().await.success());

    let (code, again, said) = up();
    assert_eq!(code, 0, "{said}");
    assert_eq!(again.split_whitespace().collect::<Vec<_>>(), flags);
    assert!(said.contains("already"), "{said}");

    let (code, _, said) = project::memgen(folder.path(), &["servers", "down"]);
    assert_eq!(code, 0, "{said}");
    let refused = tokio::net::TcpStream::connect("127.0.0.1:22092").await;
    assert!(refused.is_err(), "the broker is gone");

    // Their data stays.
    let (code, _, said) = up();
    assert_eq!(code, 0, "{said}");
    let mut running = service.start().await;
    assert_eq!(running.client().get("/r/a").await.json()["value"], 1);
    assert!(running.terminate().await.success());
    let (code, _, said) = project::memgen(folder.path(), &["servers", "down", "--purge"]);
    assert_eq!(code, 0, "{said}");
    assert!(!folder.path().join(".memgen/servers").exists());
    let (code, _, said) = project::memgen(folder.path(), &["servers", "down"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("no servers run"), "{said}");
}

/// The script of the example: three nodes, one of which is killed, and a client that goes on.
#[test]
fn the_graph_goes_on_when_a_node_is_killed() {
    let graph = binary("graph");
    let folder = graph.parent().expect("a program is in a folder");
    let script = project::repository().join("examples/graph/cluster.sh");
    let output = Command::new(script)
        .arg("1")
        .env("BIN", folder)
        .env("FIRST_PORT", "23000")
        .stdin(Stdio::null())
        .output()
        .expect("there is bash");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{errors}");
    assert!(out.contains("edges, all there"), "{out}\n{errors}");
    // `n1 killed: 17 edges before, 44 three seconds later`
    let line = out.lines().find(|line| line.starts_with("n1 killed"));
    let numbers: Vec<u32> = line
        .unwrap_or_else(|| panic!("{out}"))
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(numbers[1] > numbers[0], "nothing went on: {out}");
}
