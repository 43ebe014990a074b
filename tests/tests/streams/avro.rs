//! Events of Avro: with a folder of schemas and nothing installed; and with Kafka and a real registry, where strangers write and read by plain Avro.

use std::collections::BTreeSet;

use apache_avro::{
    AvroSchema, Schema, from_value, reader::datum::GenericDatumReader, types::Record as AvroRecord,
    writer::datum::GenericDatumWriter,
};
use memgen::config::{CoordinatorChoice, LogChoice, SchemaRegistry};
use memgen_cli::servers::{Apicurio, Jars, ZooKeeper};
use memgen_tests::Folder;

use super::{kafka::Strangers, *};

/// How often a tree was seen, and by whom last.
#[stateful_api(path = "/tree", topic = "trees", partitions = 4, crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Tree {
    #[key]
    name: String,
    seen: i64,
    by: String,
}

/// A tree was seen. Older builds of those who write don't say by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Glimpse {
    tree: String,
    count: i64,
    #[avro(default = r#""nobody""#)]
    by: String,
}

#[on_event(
    topic = "glimpses",
    key = "tree",
    format = "avro",
    dead_letters = "strange-glimpses"
)]
fn glimpsed(entry: &mut Entry<Tree>, glimpse: Glimpse) {
    let Glimpse { tree, count, by } = glimpse;
    let stored = entry.or_insert_with(|| Tree {
        name: tree.clone(),
        seen: 0,
        by: String::new(),
    });
    stored.seen += count;
    stored.by.clone_from(&by);
    let count = stored.seen;
    let total = Glimpse { tree, count, by };
    entry.emit_avro("trees-seen", total.tree.clone(), &total);
}

/// A transaction; and what can't be read stops it.
#[on_event(topic = "plantings", key = "tree", format = "avro")]
async fn planted(tx: &mut Tx, planting: Glimpse) -> Result<()> {
    let Glimpse { tree, count, by } = planting.clone();
    tx.put(Tree {
        name: tree,
        seen: count,
        by,
    })?;
    tx.emit_avro("planted", &planting.tree, &planting);
    Ok(())
}

fn trees() -> memgen::Service {
    memgen::service!(Tree, glimpsed, planted)
}

async fn grow(config: Config) -> (Running, Vec<Client>, Vec<Client>) {
    start_service(trees(), config).await
}

/// A value of Confluent's wire format, as anybody makes it.
fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], body].concat()
}

/// The schema of older builds: without `by`, and with something that nobody here knows.
fn older() -> Schema {
    let schema = json!({"type": "record", "name": "Glimpse", "fields": [
        {"name": "count", "type": "int"},
        {"name": "tree", "type": "string"},
        {"name": "mood", "type": ["null", "string"], "default": null},
    ]});
    Schema::parse_str(&schema.to_string()).expect("a schema")
}

fn of_older(schema: &Schema, tree: &str, count: i32) -> Vec<u8> {
    let mut record = AvroRecord::new(schema).expect("of a record");
    record.put("count", count);
    record.put("tree", tree);
    record.put("mood", Some("calm".to_owned()));
    let writer = GenericDatumWriter::builder(schema).build();
    let written = writer.and_then(|writer| writer.write_value_to_vec(record));
    written.expect("it goes with its schema")
}

async fn tree(client: &Client, name: &str) -> Option<(i64, String)> {
    let reply = client.get(&format!("/tree/{name}")).await;
    let tree: Option<Tree> =
        (reply.status == 200).then(|| serde_json::from_value(reply.json()).expect("a tree"));
    tree.map(|tree| (tree.seen, tree.by))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_folder_of_schemas() {
    let folder = Folder::new();
    let (running, apis, admins) = grow(config(folder.path(), 2)).await;
    // JSON becomes what the schema of the type says, with its defaults.
    for number in 0..40 {
        let event = json!({"tree": format!("t{}", number % 8), "count": 2});
        let reply = apis[0].post("/_events/glimpses", &event).await;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
    let wrong = json!({"tree": 7});
    let reply = apis[0].post("/_events/glimpses", &wrong).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    let planting = json!({"tree": "elm", "count": 1, "by": "Ada"});
    let reply = apis[1].post("/_events/plantings", &planting).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    caught_up(&admins, "glimpses", 40).await;
    caught_up(&admins, "plantings", 1).await;
    for number in 0..8 {
        let tree = tree(&apis[0], &format!("t{number}")).await;
        assert_eq!(tree, Some((10, "nobody".to_owned())));
    }
    assert_eq!(tree(&apis[0], "elm").await, Some((1, "Ada".to_owned())));

    // What strangers wrote by a schema of theirs, which they put there.
    let schema = older();
    let file = folder.path().join("schemas/40.avsc");
    let text = serde_json::to_string(&schema).expect("JSON");
    std::fs::write(file, text).expect("the folder is there");
    let send = async |topic: &str, body: Vec<u8>| {
        let path = format!("/_events/{topic}");
        let request = apis[0].request("POST", &path).body(body);
        let request = request.header("content-type", "application/octet-stream");
        let reply = request.send().await;
        assert_eq!(reply.status, 202, "{reply:?}");
    };
    let old = framed(40, &of_older(&schema, "oak", 5));
    send("glimpses", old.clone()).await;
    // And what nobody can read: a dead letter here, and there the end.
    send("glimpses", framed(41, &of_older(&schema, "oak", 5))).await;
    caught_up(&admins, "glimpses", 42).await;
    assert_eq!(tree(&apis[0], "oak").await, Some((5, "nobody".to_owned())));
    send("plantings", b"no Avro".to_vec()).await;
    let stopped = until("it stops", async || {
        let inputs = inputs(&admins, "plantings").await;
        inputs.into_iter().find(|it| it["phase"] == "stopped")
    })
    .await;
    let why = stopped["stopped_because"].as_str().expect("text");
    assert!(why.contains("begins with 0x6e"), "{why}");
    // What is sent may still be on its way.
    let arrived = async |topic: &str| {
        until("it arrives", async || {
            let records = records(folder.path(), topic).await.concat();
            (!records.is_empty()).then_some(records)
        })
        .await
    };
    let letters = arrived("strange-glimpses").await;
    let emitted = arrived("planted").await;
    running.stop().await;

    assert_eq!(letters.len(), 1);
    let note = letters[0].answered.clone().expect("a note").reply;
    assert!(
        String::from_utf8_lossy(&note).contains("41.avsc"),
        "{note:?}"
    );
    assert_eq!(emitted.len(), 1);
    let value = emitted[0].value.clone().expect("it has one");
    assert_eq!(
        value[..5],
        [0, 0, 0, 0, 1],
        "the only schema of the service"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kafka_and_a_registry() {
    let strangers = Strangers::start();
    let folder = Folder::new();
    let mut registry = Apicurio::create(folder.path()).expect("Maven Central has it");
    registry.start().expect("it answers");
    let mut config = config(folder.path(), 1);
    config.log = LogChoice::Kafka(strangers.addresses());
    config.kafka.replication_factor = 1;
    let error = trees().start(config.clone()).await;
    let error = error.expect_err("it needs a registry").to_string();
    assert!(error.contains("set `--schema-registry`"), "{error}");
    config.schema_registry = Some(SchemaRegistry::Http(registry.url()));

    // A stranger registers the schema that it writes by.
    let plain = Client::new(registry.url());
    let schema = older();
    let text = serde_json::to_string(&schema).expect("JSON");
    let registered = until("the registry is up", async || {
        let schema = json!({"schema": text});
        let reply = plain.post("/subjects/glimpses-value/versions", &schema);
        let reply = reply.await;
        (reply.status == 200).then(|| reply.json())
    })
    .await;
    let id = registered["id"].as_u64().expect("a number");
    let id = u32::try_from(id).expect("a small one");
    strangers.make("glimpses", 3).await;
    for number in 0..300_i32 {
        let body = of_older(&schema, &format!("t{}", number % 10), 1);
        strangers
            .send("glimpses", number % 3, "k", framed(id, &body))
            .await;
    }

    // As long as the registry does not answer, the input waits for it, and says so. Nothing is taken for what can't be read.
    registry.server().pause().expect("it is there");
    // Two nodes, each with a registry's client of its own: whoever is handed events asks for their schema, too.
    let jars = Jars::fetch().expect("Java and Maven are installed");
    let mut zookeeper = ZooKeeper::create(&jars, folder.path(), 1).expect("an ensemble");
    zookeeper.start().expect("it answers");
    let coordinator = format!("zookeeper://{}/trees", zookeeper.addresses());
    let coordinator = coordinator.parse().expect("an address");
    config.coordinator = CoordinatorChoice::ZooKeeper(coordinator);
    let (mut nodes, mut apis, mut admins) = (Vec::new(), Vec::new(), Vec::new());
    for name in ["n1", "n2"] {
        config.node = Some(name.to_owned());
        config.data = folder.path().join(name);
        let (node, api, admin) = grow(config.clone()).await;
        nodes.push(node);
        apis.extend(api);
        admins.extend(admin);
    }
    let waiting = until("it says what it waits for", async || {
        let inputs = inputs(&admins, "glimpses").await;
        inputs.into_iter().find(|it| it["waiting_for"].is_string())
    })
    .await;
    let what = waiting["waiting_for"].as_str().expect("text");
    assert!(what.contains(&format!("the schema {id}")), "{what}");
    assert_eq!(
        (&waiting["phase"], &waiting["position"]),
        (&json!("reading"), &json!(0))
    );
    registry.server().resume().expect("it is there");
    caught_up(&admins, "glimpses", 300).await;
    let waiting = inputs(&admins, "glimpses").await;
    assert!(
        waiting.iter().all(|it| it["waiting_for"].is_null()),
        "{waiting:?}"
    );
    for number in 0..10 {
        let tree = tree(&apis[0], &format!("t{number}")).await;
        assert_eq!(tree, Some((30, "nobody".to_owned())));
    }

    what_cant_be_read(&strangers, id).await;
    caught_up(&admins, "glimpses", 305).await;
    assert_eq!(tree(&apis[0], "oak").await, Some((7, "nobody".to_owned())));
    what_is_emitted(&strangers, &plain).await;
    for node in nodes {
        node.stop().await;
    }
}

/// What can't be read is a dead letter, and what follows it is taken in. `id` is that of the older schema.
async fn what_cant_be_read(strangers: &Strangers, id: u32) {
    let good = of_older(&older(), "oak", 7);
    for value in [
        b"no Avro".to_vec(),
        framed(id + 1000, &good),
        framed(u32::MAX, &good),
        framed(id, &good[..2]),
        framed(id, &good),
    ] {
        strangers.send("glimpses", 1, "k", value).await;
    }
    let letters = until("the dead letters arrive", async || {
        let letters = strangers.read("strange-glimpses");
        let letters: Vec<_> = letters.into_iter().flatten().collect();
        (letters.len() == 4).then_some(letters)
    })
    .await;
    let unknown = letters
        .iter()
        .find(|it| it.bytes == framed(id + 1000, &good));
    let note = &unknown.expect("as it came").headers["memgen-note"];
    assert!(note.contains("40403"), "{note}");
}

/// What is emitted is read by whoever knows the registry and nothing of memgen.
async fn what_is_emitted(strangers: &Strangers, registry: &Client) {
    let told = until("all that is emitted arrives", async || {
        let told = strangers.read("trees-seen");
        let told: Vec<_> = told.into_iter().flatten().collect();
        (told.len() >= 301).then_some(told)
    })
    .await;
    let reply = registry.get("/subjects/trees-seen-value/versions").await;
    assert_eq!(reply.json(), json!([1]), "one schema of one type");
    let mut oaks = BTreeSet::new();
    for seen in &told {
        let (head, mut body) = seen.bytes.split_at(5);
        assert_eq!(head[0], 0);
        let id = u32::from_be_bytes(head[1..].try_into().expect("four bytes"));
        let text = registry.get(&format!("/schemas/ids/{id}")).await.json();
        let schema = Schema::parse_str(text["schema"].as_str().expect("text"));
        let schema = schema.expect("a schema");
        assert_eq!(schema, Glimpse::get_schema());
        let reader = GenericDatumReader::builder(&schema).build();
        let value = reader.and_then(|reader| reader.read_value(&mut body));
        let glimpse: Glimpse = from_value(&value.expect("Avro")).expect("a glimpse");
        assert_eq!(glimpse.tree, seen.key);
        if glimpse.tree == "oak" {
            oaks.insert(glimpse.count);
        }
    }
    assert_eq!(oaks, BTreeSet::from([7]));
}
