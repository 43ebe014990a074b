//! Two ends of a connection, with what each has of certificates; the files, and how they change.

#![allow(clippy::unwrap_used)] // the whole file is a test

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};

use super::*;
use crate::{
    Config,
    coordinator::{View, conformance::node},
    metrics::Metrics,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("memgen-tls-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Settings that name these files.
    fn config(&self, cert: &str, key: &str, ca: &str) -> Config {
        let path = |name: &str| Some(self.0.join(name));
        Config {
            peer_tls_cert: path(cert),
            peer_tls_key: path(key),
            peer_tls_ca: path(ca),
            ..Config::default()
        }
    }
}

/// An authority, which leaves its own certificate as `NAME.pem`.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new(folder: &Folder, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(folder.0.join(format!("{name}.pem")), &pem).unwrap();
        Self(Issuer::new(params, key), pem)
    }

    /// Signs a certificate for some names; leaves it as `FILE.pem` and its key as `FILE.key`.
    fn sign(&self, folder: &Folder, file: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let pem = params.signed_by(&key, &self.0).unwrap().pem();
        let path = |end| folder.0.join(format!("{file}.{end}"));
        fs::write(path("pem"), pem).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
    }
}

fn tls(config: &Config) -> Arc<PeerTls> {
    PeerTls::of(config, HERE).unwrap().expect("they are set")
}

/// How two ends get on.
#[derive(Debug)]
struct Met {
    /// What the one that connects hears, or why it hears nothing.
    heard: Result<(), String>,
    admitted: bool,
    refused: u64,
}

/// The view in which a node is at an address, and its certificate is for a name.
fn view(address: SocketAddr, host: Option<&str>) -> watch::Receiver<Arc<View>> {
    let mut there = node("n", 1);
    there.peer = address;
    there.host = host.map(str::to_owned);
    let mut view = View::default();
    view.nodes.insert("n".to_owned(), there);
    watch::channel(Arc::new(view)).1
}

async fn meet(
    client: Option<Arc<PeerTls>>,
    host: Option<&str>,
    server: Option<Arc<PeerTls>>,
) -> Met {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::new();
    let entrance = Entrance::new(server, metrics.clone());
    let serve = tokio::spawn(async move {
        let (stream, from) = listener.accept().await.unwrap();
        let Some(mut stream) = entrance.admit(Stream::Tcp(stream), from).await else {
            return false;
        };
        stream.write_all(b"settings").await.unwrap();
        stream.flush().await.unwrap();
        drop(stream.read_to_end(&mut Vec::new()).await);
        true
    });
    let connector = Connector::new(client, view(address, host));
    let talk = async {
        let mut stream = connector.connect(address).await?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\n").await?;
        let mut heard = [0; 8];
        stream.read_exact(&mut heard).await?;
        assert_eq!(&heard, b"settings");
        Ok::<_, io::Error>(())
    };
    let heard = talk.await.map_err(|error| {
        let refusal = Refusal::behind(&error);
        refusal.map_or_else(|| format!("no refusal: {error}"), ToString::to_string)
    });
    let admitted = serve.await.unwrap();
    let refused = metrics.peer_connections_refused.get();
    Met {
        heard,
        admitted,
        refused,
    }
}

#[tokio::test]
async fn only_those_of_one_authority_meet() {
    let folder = Folder::new();
    let ours = Authority::new(&folder, "ours");
    let theirs = Authority::new(&folder, "theirs");
    fs::write(folder.0.join("both.pem"), format!("{}{}", ours.1, theirs.1)).unwrap();
    ours.sign(&folder, "one", &["127.0.0.1", "node-7.example"]);
    ours.sign(&folder, "two", &["127.0.0.1"]);
    theirs.sign(&folder, "other", &["127.0.0.1"]);
    let files = |name: &str, ca: &str| {
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        Some(tls(&folder.config(&cert, &key, ca)))
    };
    let (one, two) = (files("one", "ours.pem"), files("two", "ours.pem"));
    let other = files("other", "theirs.pem");
    // It believes both, and shows what only the other authority has signed.
    let intruder = files("other", "both.pem");
    for (what, client, host, server, expected) in [
        ("plain", &None, None, &None, Ok(())),
        ("both", &two, None, &one, Ok(())),
        ("by name", &two, Some("node-7.example"), &one, Ok(())),
        (
            "another name",
            &two,
            Some("node-8.example"),
            &one,
            Err(
                "its certificate is not good here: certificate not valid for name \"node-8.example\"",
            ),
        ),
        (
            "client plain",
            &None,
            None,
            &one,
            Err("it speaks TLS, and this node does not"),
        ),
        (
            "server plain",
            &one,
            None,
            &None,
            Err("it does not speak TLS"),
        ),
        (
            "another authority",
            &other,
            None,
            &one,
            Err("its certificate is not good here: UnknownIssuer"),
        ),
        (
            "another authority, which the server does not know",
            &intruder,
            None,
            &one,
            Err("it does not take this node's certificate (alert UnknownCA)"),
        ),
    ] {
        let met = meet(client.clone(), host, server.clone()).await;
        match (&met.heard, expected) {
            (Ok(()), Ok(())) => assert!(met.admitted && met.refused == 0, "{what}: {met:?}"),
            (Err(heard), Err(expected)) => {
                assert!(heard.starts_with(expected), "{what}: {met:?}");
                assert!(!met.admitted && met.refused == 1, "{what}: {met:?}");
            }
            _ => panic!("{what}: {met:?}"),
        }
    }
}

#[test]
fn files_that_are_of_no_use_are_named() {
    let folder = Folder::new();
    let ours = Authority::new(&folder, "ours");
    Authority::new(&folder, "theirs");
    ours.sign(&folder, "one", &["127.0.0.1"]);
    ours.sign(&folder, "far", &["10.0.0.1"]);
    fs::write(folder.0.join("empty"), "").unwrap();
    fs::write(folder.0.join("long"), vec![b' '; (1 << 20) + 1]).unwrap();
    let half = fs::read(folder.0.join("one.pem")).unwrap();
    fs::write(folder.0.join("half"), &half[..half.len() / 2]).unwrap();
    assert!(PeerTls::of(&Config::default(), HERE).unwrap().is_none());
    for (cert, key, ca, expected) in [
        (
            "none",
            "one.key",
            "ours.pem",
            ["--peer-tls-cert", "No such file"],
        ),
        (
            "one.pem",
            "none",
            "ours.pem",
            ["--peer-tls-key", "No such file"],
        ),
        (
            "one.pem",
            "one.key",
            "none",
            ["--peer-tls-ca", "No such file"],
        ),
        (
            "empty",
            "one.key",
            "ours.pem",
            ["--peer-tls-cert", "there is no certificate in it"],
        ),
        ("half", "one.key", "ours.pem", ["--peer-tls-cert", "half"]),
        (
            "long",
            "one.key",
            "ours.pem",
            ["--peer-tls-cert", "longer than"],
        ),
        (
            "one.pem",
            "one.pem",
            "ours.pem",
            ["--peer-tls-key", "there is no private key in it"],
        ),
        (
            "one.pem",
            "one.key",
            "empty",
            ["--peer-tls-ca", "there is no certificate in it"],
        ),
        (
            "one.pem",
            "far.key",
            "ours.pem",
            ["--peer-tls-key", "it is not the key of"],
        ),
        (
            "one.pem",
            "one.key",
            "theirs.pem",
            ["--peer-tls-cert", "UnknownIssuer"],
        ),
        (
            "far.pem",
            "far.key",
            "ours.pem",
            ["--peer-tls-cert", "not valid for name"],
        ),
    ] {
        let told = PeerTls::of(&folder.config(cert, key, ca), HERE).err();
        let told = told.unwrap_or_else(|| panic!("{cert} {key} {ca}"));
        let (setting, what) = (format!("`{}`", expected[0]), expected[1]);
        assert!(told.starts_with(&setting), "{cert} {key} {ca}: {told}");
        assert!(told.contains(what), "{cert} {key} {ca}: {told}");
    }
}

/// What a node shows to one that connects.
async fn shown(server: &Arc<PeerTls>, client: &Arc<PeerTls>) -> Vec<u8> {
    let (near, far) = pair().await;
    let name = tokio_rustls::rustls::pki_types::ServerName::from(HERE);
    let (accepted, connected) = tokio::join!(
        async {
            let mut stream = server.accept(Stream::Tcp(far)).await?;
            stream.write_all(b"settings").await?;
            stream.flush().await?;
            Ok::<_, io::Error>(stream)
        },
        client.connect(Stream::Tcp(near), name)
    );
    accepted.unwrap();
    let connected = connected.unwrap();
    let shown = connected.get_ref().1.peer_certificates().unwrap();
    shown[0].to_vec()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

#[tokio::test]
async fn what_is_renewed_is_used_and_what_is_broken_is_not() {
    let folder = Folder::new();
    let ours = Authority::new(&folder, "ours");
    ours.sign(&folder, "one", &["127.0.0.1"]);
    ours.sign(&folder, "two", &["127.0.0.1"]);
    let file = |name: &str| -> PathBuf { Path::new(&folder.0).join(name) };
    let server = tls(&folder.config("one.pem", "one.key", "ours.pem"));
    let client = tls(&folder.config("two.pem", "two.key", "ours.pem"));
    let first = shown(&server, &client).await;
    let seen = Some(server.look(None));
    assert_eq!(shown(&server, &client).await, first, "nothing has changed");

    // The certificate is there already, its key not yet.
    let key = fs::read(file("one.key")).unwrap();
    ours.sign(&folder, "one", &["127.0.0.1"]);
    let renewed = fs::read(file("one.key")).unwrap();
    fs::write(file("one.key"), key).unwrap();
    let seen = Some(server.look(seen));
    assert_eq!(shown(&server, &client).await, first);
    fs::write(file("one.key"), renewed).unwrap();
    let seen = Some(server.look(seen));
    let second = shown(&server, &client).await;
    assert_ne!(second, first);

    // Half of a file, and none.
    let whole = fs::read(file("ours.pem")).unwrap();
    fs::write(file("ours.pem"), &whole[..100]).unwrap();
    let seen = Some(server.look(seen));
    fs::remove_file(file("ours.pem")).unwrap();
    let seen = Some(server.look(seen));
    assert_eq!(shown(&server, &client).await, second);
    fs::write(file("ours.pem"), whole).unwrap();
    server.look(seen);
    assert_eq!(shown(&server, &client).await, second);
}

#[tokio::test]
async fn those_who_never_begin_make_room_for_others() {
    let metrics = Metrics::new();
    let entrance = Entrance::new(None, metrics.clone());
    let mut pending = Pending::default();
    let mut waiting = Vec::new();
    for _ in 0..entrance::PENDING_MAX {
        let (held, ended) = oneshot::channel::<()>();
        waiting.push(ended);
        pending.spawn(&entrance, async move {
            std::future::pending::<()>().await;
            drop(held);
        });
    }
    assert_eq!(metrics.peer_connections_refused.get(), 0);
    let (begun, begins) = oneshot::channel();
    pending.spawn(&entrance, async move { begun.send(()).unwrap() });
    begins.await.unwrap();
    assert_eq!(metrics.peer_connections_refused.get(), 1);
    waiting.remove(0).await.expect_err("the oldest has gone");
    let others = waiting.iter_mut().map(oneshot::Receiver::try_recv);
    let empty = Err(oneshot::error::TryRecvError::Empty);
    assert!({ others }.all(|other| other == empty));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_not_waited_for() {
    let folder = Folder::new();
    Authority::new(&folder, "ours").sign(&folder, "one", &["127.0.0.1"]);
    let with = tls(&folder.config("one.pem", "one.key", "ours.pem"));
    for tls in [None, Some(with)] {
        let metrics = Metrics::new();
        let entrance = Entrance::new(tls, metrics.clone());
        let (near, far) = pair().await;
        let from = near.local_addr().unwrap();
        assert!(entrance.admit(Stream::Tcp(far), from).await.is_none());
        assert_eq!(metrics.peer_connections_refused.get(), 1);

        // Who only looks whether somebody is there is no stranger.
        let (near, far) = pair().await;
        drop(near);
        assert!(entrance.admit(Stream::Tcp(far), from).await.is_none());
        assert_eq!(metrics.peer_connections_refused.get(), 1);
    }
}
