//! Who may do what below the root, and which roots are refused.

use std::time::Duration;

use memgen::{
    coordinator::{
        Coordinator as _, CoordinatorError,
        conformance::{node, take},
        zookeeper::{Settings, ZooKeeper},
    },
    log::{TopicPartition, conformance::topic},
};
use zookeeper_client::{Acls, Client, CreateMode, Error};

use crate::kit::{one_server, settings};

const PATHS: [&str; 8] = [
    "",
    "/layout",
    "/topics",
    "/topics/graph",
    "/view/members/a",
    "/view/locks/graph/0",
    "/view/planner",
    "/view/plan",
];

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_kept_out() {
    let server = one_server();
    let address = |user: &str| {
        let address = server.address("/closed/to/strangers");
        address.replace("zookeeper://", &format!("zookeeper://{user}"))
    };
    let ours = ZooKeeper::start(settings(&address("us:se%40cret@")));
    ours.declare(&topic("graph", 4)).await.expect("ours");
    ours.join(node("a", 7)).await.expect("ours");
    let lock = take(&ours, &TopicPartition::new("graph", 0)).await;
    let mut view = ours.view();
    view.wait_for(|view| view.planner.is_some() && !view.holders.is_empty())
        .await
        .expect("it is followed");

    for user in ["", "us:secret@", "them:se%40cret@"] {
        let stranger = ZooKeeper::start(settings(&address(user)));
        for refused in [
            stranger.declare(&topic("graph", 4)).await,
            stranger.join(node("b", 8)).await,
        ] {
            let Err(CoordinatorError::Refused(why)) = refused else {
                panic!("{user}: {refused:?}");
            };
            assert!(
                why.contains("denies access to /closed/to/strangers") && !why.contains("secret"),
                "{why}"
            );
        }
    }
    let stranger = Client::connector()
        .with_auth("digest", b"them:se@cret")
        .connect(server.servers())
        .await
        .expect("the server is open to all");
    let denied = Err(Error::NoAuth);
    for path in PATHS {
        let path = format!("/closed/to/strangers{path}");
        assert_eq!(stranger.get_data(&path).await.map(drop), denied, "{path}");
        assert_eq!(
            stranger.list_children(&path).await.map(drop),
            denied,
            "{path}"
        );
        let written = stranger.set_data(&path, b"{}", None).await;
        assert_eq!(written.map(drop), denied, "{path}");
        let opened = stranger.set_acl(&path, &Acls::anyone_all(), None).await;
        assert_eq!(opened.map(drop), denied, "{path}");
        assert_eq!(stranger.delete(&path, None).await, denied, "{path}");
        let lasting = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let child = format!("{path}/x");
        let created = stranger.create(&child, b"", &lasting).await.map(drop);
        assert!(
            matches!(created, Err(Error::NoAuth | Error::NoChildrenForEphemerals)),
            "{child}: {created:?}"
        );
    }
    assert!(lock.holds() && !lock.is_lost());
    // Above the root there is room for others, but nothing of ours can be touched.
    let beside = ZooKeeper::start(settings(&server.address("/closed/to/others")));
    beside
        .declare(&topic("graph", 4))
        .await
        .expect("it is another root");
    assert_eq!(stranger.delete("/closed/to", None).await, denied);

    let again = ZooKeeper::start(settings(&address("us:se%40cret@")));
    again.declare(&topic("graph", 4)).await.expect("ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_not_ours_is_refused() {
    let server = one_server();
    let client = Client::connect(server.servers()).await.expect("it answers");
    let open = CreateMode::Persistent.with_acls(Acls::anyone_all());
    for (path, text) in [
        ("/kafka", ""),
        ("/kafka/brokers", ""),
        ("/newer", ""),
        ("/newer/layout", r#"{"version":2,"more":{}}"#),
        ("/empty", ""),
    ] {
        client
            .create(path, text.as_bytes(), &open)
            .await
            .expect("it is new");
    }
    let at = |root: &str| ZooKeeper::start(settings(&server.address(root)));
    at("/mine")
        .declare(&topic("graph", 4))
        .await
        .expect("it is made");
    at("/empty")
        .declare(&topic("graph", 4))
        .await
        .expect("it is taken");

    let other = |root: &str, cluster: &str| {
        ZooKeeper::start(Settings {
            cluster: cluster.to_owned(),
            ..settings(&server.address(root))
        })
    };
    let with_credentials = server.address("/mine").replace("//", "//us:secret@");
    for (coordinator, expected) in [
        (at("/kafka"), "/kafka has nodes that are not memgen's"),
        (at("/newer"), "/newer is laid out in version 2"),
        (
            other("/mine", "shop"),
            "/mine belongs to the cluster `tests`",
        ),
        (
            ZooKeeper::start(settings(&with_credentials)),
            "/mine is open to everybody",
        ),
    ] {
        let refused = coordinator.declare(&topic("graph", 4)).await;
        let Err(CoordinatorError::Refused(why)) = refused else {
            panic!("{expected}: {refused:?}");
        };
        assert!(why.contains(expected), "{why}");
    }
    // A cluster without a root of its own gets one.
    let address = format!("zookeeper://{}", server.servers());
    let coordinator = ZooKeeper::start(settings(&address));
    coordinator
        .declare(&topic("graph", 4))
        .await
        .expect("it is made");
    let made = client.check_stat("/memgen/tests/topics/graph").await;
    assert!(made.expect("it answers").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_ever_for_an_ensemble_that_is_not_there() {
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = format!(
        "zookeeper://us:secret@{}/r",
        unused.local_addr().expect("it is bound")
    );
    drop(unused);
    let coordinator = ZooKeeper::start(Settings {
        session_timeout: Duration::from_millis(500),
        ..settings(&address)
    });
    for answer in [
        coordinator.declare(&topic("graph", 4)).await,
        coordinator.join(node("a", 7)).await,
    ] {
        let Err(CoordinatorError::Unreachable(why)) = answer else {
            panic!("{answer:?}");
        };
        assert!(
            why.contains("127.0.0.1") && !why.contains("secret"),
            "{why}"
        );
    }
    coordinator.leave().await;
}
