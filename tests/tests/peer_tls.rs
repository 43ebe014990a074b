//! Nodes that speak TLS with each other: what goes between them works as without, and nobody else gets in.

use std::{fs, time::Duration};

use memgen_tests::{
    Client, Service,
    authority::Authority,
    binaries::binary,
    cluster::{Cluster, Servers},
    feed::Feed,
    raw::Raw,
};
use serde_json::json;
use tokio::{net::TcpStream, task::JoinHandle};

const NODES: u8 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_in_and_certificates_are_renewed() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let flags = ours.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let service = Service::new("register")
        .args(&["--nodes", "3"])
        .args(&flags);

    // Others would not believe it: it is told so rather than that nobody can reach it.
    ours.install(&ours.sign(&["node-7.example"]));
    let (status, output) = service.run().await;
    assert!(!status.success());
    assert!(
        output.contains("`--peer-tls-cert`") && output.contains("not valid for name"),
        "{output}"
    );

    let first = ours.sign(&["localhost", "127.0.0.1"]);
    ours.install(&first);
    let mut running = service.start().await;
    let clients: Vec<Client> = (0..usize::from(NODES))
        .map(|node| running.client_of(node))
        .collect();
    are_one_service(&clients).await;

    let admin = running.admin();
    let status = admin.get("/status").await.json();
    let peer = status["nodes"][0]["peer"].as_str().expect("an address");
    let strangers = strangers(peer, &ours, &theirs, &first).await;
    let refused = counted(&admin, "memgen_peer_connections_refused_total").await;
    assert!(refused >= 4, "{refused}");
    are_one_service(&clients).await;
    let health = admin.get("/healthz").await;
    assert_eq!(health.status, 200);
    drop(strangers);

    let load = load(&clients);
    renewals(peer, &ours, &theirs, &first).await;
    load.stop().await;
    running.prints("the ones before stay in use").await;
    let refused = "refused a connection at the peer address: it ";
    running.prints(refused).await;
    are_one_service(&clients).await;
    running.assert_sound();
}

/// Each node takes each request, and lists and watches what all have.
async fn are_one_service(clients: &[Client]) {
    for (node, client) in clients.iter().enumerate() {
        for number in 0..16 {
            let path = format!("/r/n{node}-{number}");
            let reply = client.put(&path, &json!({"value": number})).await;
            assert!(reply.status < 300, "{reply:?}");
            for other in clients {
                assert_eq!(other.get(&path).await.json()["value"], number);
            }
        }
    }
    for client in clients {
        let list = client.get("/r?limit=500&prefix=n").await.json();
        let items = list["items"].as_array().map(Vec::len);
        let all = 16 * usize::from(NODES);
        assert_eq!(items, Some(all), "{list}");
        let mut feed = Feed::of(client.base(), "/r?prefix=n");
        let mut values = 0;
        loop {
            match &*feed.next().await.event {
                "value" => values += 1,
                "current" => break,
                _ => {}
            }
        }
        assert_eq!(values, all);
    }
}

/// Knocks at a node as those do who are none. What it returns is open still.
async fn strangers(
    peer: &str,
    ours: &Authority,
    theirs: &Authority,
    good: &[String; 2],
) -> Vec<TcpStream> {
    for said in [
        "GET /_memgen/alive HTTP/1.1\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut raw = Raw::connect(&format!("http://{peer}"))
            .await
            .expect("it listens");
        raw.send(said).await;
        let ending = raw.end().await;
        // An alert of TLS at most.
        assert!(ending.bytes.len() < 10, "{ending:?}");
    }
    let refused = ours.knock(peer, None).await.expect_err("no certificate");
    assert!(
        refused.to_string().contains("CertificateRequired"),
        "{refused}"
    );
    let foreign = theirs.sign(&["localhost", "127.0.0.1"]);
    let refused = ours.knock(peer, Some(&foreign)).await;
    let refused = refused.expect_err("of another authority");
    assert!(refused.to_string().contains("UnknownCA"), "{refused}");

    // So many who say nothing that there would be no room for others, and yet there is.
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(TcpStream::connect(peer).await.expect("it listens"));
    }
    let entered = ours.knock(peer, Some(good)).await;
    entered.expect("a node gets in");
    silent
}

/// What a node shows at its peer address.
async fn shown(peer: &str, authority: &Authority, shows: &[String; 2]) -> Option<Vec<u8>> {
    let entered = authority.knock(peer, Some(shows)).await.ok()?;
    let certificates = entered.get_ref().1.peer_certificates()?;
    Some(certificates.first()?.to_vec())
}

/// New certificates, new authorities, and files that are of no use, at nodes that run.
async fn renewals(peer: &str, ours: &Authority, theirs: &Authority, first: &[String; 2]) {
    let before = shown(peer, ours, first).await.expect("it gets in");
    // Half written, and not said to be whole for a while.
    let whole = fs::read(ours.file("ca.pem")).expect("it is there");
    fs::write(ours.file("ca.pem"), &whole[..whole.len() / 2]).expect("the folder is ours");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(shown(peer, ours, first).await.as_ref(), Some(&before));

    // From one authority to another, so that all nodes always believe each other.
    ours.trust(&[ours, theirs]);
    let second = theirs.sign(&["localhost", "127.0.0.1"]);
    until(async || shown(peer, ours, &second).await.is_some()).await;
    ours.install(&second);
    until(async || {
        shown(peer, theirs, &second)
            .await
            .is_some_and(|now| now != before)
    })
    .await;
    ours.trust(&[theirs]);
    until(async || shown(peer, theirs, first).await.is_none()).await;
    assert!(shown(peer, theirs, &second).await.is_some());
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not come to hold");
}

/// Clients that go on all the while.
struct Load {
    stop: tokio::sync::watch::Sender<bool>,
    clients: Vec<JoinHandle<usize>>,
}

fn load(clients: &[Client]) -> Load {
    let stop = tokio::sync::watch::Sender::new(false);
    let clients = clients.iter().cloned().enumerate().map(|(node, client)| {
        let stop = stop.subscribe();
        tokio::spawn(async move {
            let mut count = 0;
            while !*stop.borrow() {
                let path = format!("/r/n{node}-{}", count % 16);
                let reply = client.put(&path, &json!({"value": count})).await;
                assert!(reply.status < 300, "{reply:?}");
                assert_eq!(client.get(&path).await.json()["value"], count);
                count += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            count
        })
    });
    let clients = clients.collect();
    Load { stop, clients }
}

impl Load {
    async fn stop(self) {
        self.stop.send_replace(true);
        for client in self.clients {
            assert!(client.await.expect("no request fails") > 10);
        }
    }
}

/// On several processes, with what else goes between them: snapshots, and the proof that a process is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_speaks_tls() {
    let ours = Authority::new("ours");
    let flags = ours.flags();
    let mut args = vec!["--replication-factor", "1", "--snapshot-records", "3"];
    args.extend(flags.iter().map(String::as_str));
    let servers = Servers::start(1, 1);
    let mut cluster = Cluster::new(&servers, None, &binary("register"), NODES, &args);
    cluster.start().await;
    let clients = |cluster: &Cluster| -> Vec<Client> {
        cluster
            .clients()
            .into_iter()
            .map(|(_, client)| client)
            .collect()
    };
    are_one_service(&clients(&cluster)).await;

    // A process that is gone is proved to be, and one that starts without snapshots gets them from others.
    cluster.stop(2).await;
    fs::remove_dir_all(cluster.data(2).join("snapshots")).expect("it has some");
    cluster.launch(2);
    cluster.ready().await;
    let admin = cluster.node(2).admin();
    until(async || counted(&admin, "memgen_snapshots_copied_total").await > 0).await;
    are_one_service(&clients(&cluster)).await;
    let admin = cluster.node(0).admin();
    let proofs = counted(&admin, "memgen_proofs_of_death").await;
    cluster.kill_9(1);
    are_one_service(&clients(&cluster)).await;
    let after = counted(&admin, "memgen_proofs_of_death").await;
    assert_eq!(after, proofs + 1, "the session decided");

    // Nobody understands a node without TLS; that is said at both ends, and the others go on.
    let plain = cluster.service(1).clone();
    let plain = flags
        .iter()
        .fold(plain, |service, flag| service.without(flag));
    let mut running = plain.launch();
    running
        .prints("it speaks TLS, and this node does not")
        .await;
    running.prints("admin http://").await;
    let said = "no connection to a node: it does not speak TLS";
    for node in [0, 2] {
        cluster.node(node).prints(said).await;
        assert_eq!(cluster.node(node).admin().get("/healthz").await.status, 200);
    }
    assert_eq!(running.admin().get("/healthz").await.status, 200);
    running.terminate().await;
    are_one_service(&clients(&cluster)).await;
    cluster.assert_sound();
}

async fn counted(admin: &Client, metric: &str) -> u64 {
    let reply = admin.get("/metrics").await;
    let lines = reply.text().lines().filter(|line| line.starts_with(metric));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}
