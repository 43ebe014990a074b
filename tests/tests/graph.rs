//! The graph example: its contract, and that edges, labels and components agree whatever is asked of it.

use std::collections::{BTreeMap, BTreeSet};

use memgen_tests::{Client, Random, Service, components::check_view};
use serde_json::{Value, json};

/// The graph as it must be: each vertex with its neighbours.
#[derive(Clone, Debug, Default)]
struct Model(BTreeMap<u32, BTreeSet<u32>>);

impl Model {
    fn connect(&mut self, a: u32, b: u32) -> u16 {
        if a == b {
            return 422;
        }
        self.0.entry(a).or_default().insert(b);
        self.0.entry(b).or_default().insert(a);
        303
    }

    fn disconnect(&mut self, a: u32, b: u32) -> u16 {
        if !(self.0.contains_key(&a) && self.0.contains_key(&b)) {
            return 404;
        }
        let removed = self.0.get_mut(&a).is_some_and(|edges| edges.remove(&b));
        self.0.get_mut(&b).map(|edges| edges.remove(&a));
        if removed { 303 } else { 409 }
    }

    fn component(&self, id: u32) -> BTreeSet<u32> {
        let mut members = BTreeSet::new();
        let mut frontier = vec![id];
        while let Some(id) = frontier.pop() {
            if members.insert(id) {
                frontier.extend(&self.0[&id]);
            }
        }
        members
    }

    /// Checks each vertex and each component as `client` sees them, for vertices below `bound`.
    async fn check(&self, client: &Client, bound: u32) {
        for id in 0..bound {
            let vertex = client.get(&format!("/vertex/{id}")).await;
            let component = client.get(&format!("/component/{id}")).await;
            let Some(edges) = self.0.get(&id) else {
                assert_eq!((vertex.status, component.status), (404, 404), "{id}");
                continue;
            };
            let members = self.component(id);
            let least = members.first().copied();
            let vertex = vertex.json();
            let targets = vertex["edges"].as_array().expect("a list").iter();
            let targets: Vec<_> = targets.map(|edge| &edge["target"]).collect();
            assert_eq!(json!(targets), json!(edges), "{vertex}");
            assert_eq!(vertex["component"], json!(least), "{vertex}");
            if least == Some(id) {
                assert_eq!(component.json(), json!({"id": id, "connected": members}));
            } else {
                assert_eq!(component.status, 404, "{id}: {component:?}");
            }
        }
    }
}

async fn connect(client: &Client, a: u32, b: u32) -> u16 {
    change(client, "connect", a, b).await
}

async fn disconnect(client: &Client, a: u32, b: u32) -> u16 {
    change(client, "disconnect", a, b).await
}

async fn change(client: &Client, what: &str, a: u32, b: u32) -> u16 {
    let reply = client.post_empty(&format!("/{what}/{a}/{b}")).await;
    if reply.status == 303 {
        let location = format!("/vertex/{a}");
        assert_eq!(reply.header("location"), Some(location.as_str()));
    } else {
        reply.problem();
    }
    reply.status
}

async fn edges(client: &Client, id: u32) -> Vec<(u64, u64)> {
    let vertex = client.get(&format!("/vertex/{id}")).await.json();
    let edges = vertex["edges"].as_array().expect("a list").iter();
    let number = |edge: &Value, name| edge[name].as_u64().expect("a number");
    edges
        .map(|edge| (number(edge, "target"), number(edge, "timestamp")))
        .collect()
}

#[tokio::test]
async fn contract() {
    let running = Service::new("graph").start().await;
    let client = running.client();
    assert_eq!(client.get("/vertex/1").await.status, 404);
    assert_eq!(client.get("/component/1").await.status, 404);
    assert_eq!(disconnect(&client, 1, 2).await, 404);
    assert_eq!(connect(&client, 1, 1).await, 422);
    assert_eq!(client.get("/vertex/1").await.status, 404);

    assert_eq!(connect(&client, 7, 3).await, 303);
    let (three, seven) = (edges(&client, 3).await, edges(&client, 7).await);
    let [(7, timestamp)] = three[..] else {
        panic!("{three:?}")
    };
    assert_eq!(seven, [(3, timestamp)], "both ends have the same timestamp");
    assert_eq!(connect(&client, 3, 7).await, 303);
    assert_eq!(
        (edges(&client, 3).await, edges(&client, 7).await),
        (three, seven),
        "it is kept"
    );
    assert_eq!(
        client.get("/component/3").await.json(),
        json!({"id": 3, "connected": [3, 7]})
    );
    assert_eq!(client.get("/component/7").await.status, 404);
    assert_eq!(client.get("/vertex/3/degree").await.json(), json!(1));

    assert_eq!(disconnect(&client, 3, 4).await, 404);
    assert_eq!(disconnect(&client, 4, 3).await, 404);
    assert_eq!(disconnect(&client, 3, 3).await, 409);
    assert_eq!(disconnect(&client, 3, 7).await, 303);
    assert_eq!(disconnect(&client, 3, 7).await, 409);
    assert_eq!(
        client.get("/vertex/7").await.json(),
        json!({"id": 7, "component": 7, "edges": []})
    );
    assert_eq!(
        client.get("/component/7").await.json(),
        json!({"id": 7, "connected": [7]})
    );

    for path in [
        "/connect/x/1",
        "/connect/1/-1",
        "/connect/1/4294967296",
        "/vertex/x",
    ] {
        let method = if path.starts_with("/vertex") {
            "GET"
        } else {
            "POST"
        };
        let reply = client.request(method, path).send().await;
        assert!(matches!(reply.status, 400 | 404 | 422), "{path}: {reply:?}");
        reply.problem();
    }
    assert_eq!(
        client
            .put("/vertex/9", &json!({"component": 9, "edges": []}))
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn settings() {
    let running = Service::new("graph").args(&["--nodes", "2"]).start().await;
    let (one, two) = (running.client_of(0), running.client_of(1));
    assert_eq!(one.get("/settings/colour").await.status, 404);
    let blue = json!({"name": "colour", "value": {"is": "blue"}});
    assert_eq!(
        two.put("/settings/colour", &json!({"value": {"is": "blue"}}))
            .await
            .json(),
        blue
    );
    assert_eq!(one.get("/settings/colour").await.json(), blue);
    assert_eq!(two.get("/settings/colour").await.json(), blue);
    assert_eq!(one.get("/settings").await.json()["items"], json!([blue]));
    assert_eq!(one.delete("/settings/colour").await.status, 204);
}

#[tokio::test]
async fn it_is_the_graph_that_was_asked_for() {
    const VERTICES: u32 = 12;
    let mut random = Random::new();
    let service = Service::new("graph").args(&["--nodes", "2"]);
    let mut model = Model::default();
    for _ in 0..2 {
        // Again from the log, at the second time.
        let mut running = service.start().await;
        let clients = [running.client_of(0), running.client_of(1)];
        model.check(&clients[0], VERTICES).await;
        for step in 0..150 {
            let client = &clients[random.below(2) as usize];
            let (a, b) = (random.below(VERTICES), random.below(VERTICES));
            if random.below(2) == 0 {
                assert_eq!(
                    connect(client, a, b).await,
                    model.connect(a, b),
                    "connect {a} {b}"
                );
            } else {
                assert_eq!(
                    disconnect(client, a, b).await,
                    model.disconnect(a, b),
                    "disconnect {a} {b}"
                );
            }
            if step % 10 == 0 {
                model
                    .check(&clients[random.below(2) as usize], VERTICES)
                    .await;
            }
        }
        for client in &clients {
            model.check(client, VERTICES).await;
        }
        running.assert_sound();
        assert!(running.terminate().await.success());
    }
}

#[tokio::test]
async fn requests_at_once_leave_it_right() {
    const VERTICES: u32 = 10;
    let mut random = Random::new();
    let mut running = Service::new("graph").args(&["--nodes", "2"]).start().await;
    let clients = [running.client_of(0), running.client_of(1)];
    for round in 0..6 {
        let workers = (0..8).map(|worker| {
            let mut random = random.split();
            let client = clients[worker % 2].clone();
            async move {
                for _ in 0..10 {
                    let (a, b) = (random.below(VERTICES), random.below(VERTICES));
                    let status = if random.below(2) == 0 {
                        connect(&client, a, b).await
                    } else {
                        disconnect(&client, a, b).await
                    };
                    assert!(matches!(status, 303 | 404 | 409 | 422), "{status}");
                }
            }
        });
        let workers = futures_util::future::join_all(workers);
        let looks = async {
            let mut looks = 0;
            loop {
                let client = &clients[looks % 2];
                let wanted = json!({"vertices": (0..VERTICES).collect::<Vec<_>>()});
                let view = client.post("/view", &wanted).await;
                if view.status == 200 {
                    check_view(&view.json()).expect("it agrees");
                    looks += 1;
                } else {
                    assert_eq!(view.status, 503, "{view:?}");
                }
            }
        };
        tokio::select! {
            _ = workers => {}
            () = looks => {}
        }
        // Whatever the edges are now: they must agree with one another, and the labels and components with them.
        let mut model = Model::default();
        for id in 0..VERTICES {
            if client_has(&clients[0], id).await {
                let targets = edges(&clients[0], id).await.into_iter();
                let targets = targets.map(|(target, _)| u32::try_from(target).expect("an id"));
                model.0.insert(id, targets.collect());
            }
        }
        for (id, targets) in &model.0 {
            for target in targets {
                assert!(
                    model.0[target].contains(id),
                    "round {round}: {id} to {target} has one end"
                );
            }
        }
        for client in &clients {
            model.check(client, VERTICES).await;
        }
    }
    running.assert_sound();
}

async fn client_has(client: &Client, id: u32) -> bool {
    client.get(&format!("/vertex/{id}")).await.status == 200
}

#[tokio::test]
async fn what_a_kill_cuts_short_happened_or_not() {
    const VERTICES: u32 = 10;
    let mut random = Random::new();
    let service = Service::new("graph");
    let mut model = Model::default();
    for _ in 0..25 {
        let mut running = service.start().await;
        let client = running.client();
        let patience = u64::from(random.below(40));
        let worker = {
            let mut model = model.clone();
            let mut random = random.split();
            tokio::spawn(async move {
                loop {
                    let a = random.below(VERTICES);
                    let edges = model.0.get(&a).into_iter().flatten().copied();
                    let edges: Vec<u32> = edges.collect();
                    // A graph that is neither full nor empty: then a cut in the middle of a request matters most.
                    let (word, b) = if edges.is_empty() || random.below(2) == 0 {
                        ("connect", random.below(VERTICES))
                    } else {
                        let edge = random.below(u32::try_from(edges.len()).expect("a few"));
                        ("disconnect", edges[edge as usize])
                    };
                    let path = format!("/{word}/{a}/{b}");
                    if client.request("POST", &path).try_send().await.is_err() {
                        return (model, word, a, b);
                    }
                    match word {
                        "connect" => model.connect(a, b),
                        _ => model.disconnect(a, b),
                    };
                }
            })
        };
        tokio::time::sleep(std::time::Duration::from_millis(patience)).await;
        running.kill_9();
        let (seen, word, a, b) = worker.await.expect("the worker does not panic");
        model = seen;

        let running = service.start().await;
        let client = running.client();
        // Nobody asks again: as a whole or not at all.
        let vertex = client.get(&format!("/vertex/{a}")).await;
        if vertex.status == 200 {
            let has = edges(&client, a).await;
            let has = has.iter().any(|(target, _)| *target == u64::from(b));
            match word {
                "connect" if has => drop(model.connect(a, b)),
                "disconnect" if !has => drop(model.disconnect(a, b)),
                _ => {}
            }
        }
        model.check(&client, VERTICES).await;
    }
}

#[tokio::test]
async fn the_positional_form() {
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener
            .local_addr()
            .expect("it is bound")
            .port()
            .to_string()
    };
    let (peer, http) = (free(), free());
    let args = ["ExampleSystem", &peer, "127.0.0.1", &http, "4", "0,1,2,3"];
    let service = Service::new("graph").only_args(&args);
    let running = service
        .variable("MEMGEN_ADMIN", "127.0.0.1:0")
        .start()
        .await;
    let client = Client::new(format!("http://127.0.0.1:{http}"));
    assert_eq!(running.client().base(), client.base());
    assert_eq!(connect(&client, 1, 2).await, 303);
    assert_eq!(
        client.get("/component/1").await.json(),
        json!({"id": 1, "connected": [1, 2]})
    );

    let wrong = ["ExampleSystem", &peer, "127.0.0.1", &http, "5", "0,1,2,3"];
    let (status, output) = Service::new("graph").only_args(&wrong).run().await;
    assert!(!status.success(), "{output}");
    assert!(output.contains("partitions"), "{output}");
}

/// The alerts and the dashboard ask for what a service exports, and Prometheus can read what they ask.
#[tokio::test]
async fn what_is_watched_is_there() {
    let running = Service::new("graph").start().await;
    assert_eq!(running.client().get("/vertex/1").await.status, 404);
    let exported = running.admin().get("/metrics").await.text().to_owned();
    let folder = memgen_tests::project::repository().join("examples/graph/watch");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("it is there");
    let (alerts, dashboard) = (read("alerts.yml"), read("dashboard.json"));
    let mut asked = BTreeSet::new();
    for text in [&alerts, &dashboard] {
        let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        asked.extend(
            words.filter(|word| word.starts_with("memgen_") || word.starts_with("process_")),
        );
    }
    assert!(asked.len() > 20, "{asked:?}");
    for name in asked {
        let sample = |line: &str| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        assert!(exported.lines().any(sample), "{name} is not exported");
    }

    // What the panels ask, as rules.
    let dashboard: Value = serde_json::from_str(&dashboard).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("a list");
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let rules = targets.enumerate().map(|(index, target)| {
        let expr = target["expr"]
            .as_str()
            .expect("a text")
            .replace("$__rate_interval", "1m");
        json!({ "record": format!("panel:{index}"), "expr": expr })
    });
    let rules: Vec<Value> = rules.collect();
    assert!(rules.len() > 20);
    let scratch = memgen_tests::Folder::new();
    let panels = scratch.path().join("panels.yml");
    let text = json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string();
    std::fs::write(&panels, text).expect("it can be written");
    for file in [folder.join("alerts.yml"), panels] {
        let checked = std::process::Command::new("promtool")
            .args(["check", "rules"])
            .arg(&file)
            .output();
        let checked = checked.expect("promtool is installed: tests/run does it");
        assert!(
            checked.status.success(),
            "{}: {}",
            file.display(),
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}
