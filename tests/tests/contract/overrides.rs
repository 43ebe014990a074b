//! What authors decide themselves, by extensions in the document or by an overlay: each line of OVERRIDES.md.

use std::collections::BTreeSet;

use memgen::{Service, contract::prelude::*};
use memgen_cli::{emit, model::Resource};
use serde_json::{Value, json};

use super::kit::{Document, Started};

/// Pets by number within shops by name, with an operation of each kind.
const DOCUMENT: &str = r##"
openapi: 3.1.0
info: {title: Overrides, version: "1"}
paths:
  /pets:
    post:
      operationId: createPet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {"201": {description: Made., content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
    get:
      operationId: listPets
      responses: {"200": {description: All., content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}}
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: string}}]
    get:
      operationId: getPet
      responses: {"200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
    put:
      operationId: putPet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {"200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
    delete:
      operationId: deletePet
      responses: {"204": {description: Gone.}}
  /pets/{petId}/rename:
    parameters: [{name: petId, in: path, required: true, schema: {type: string}}]
    post:
      operationId: renamePet
      requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {name: {type: string}}}}}}
      responses: {"200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
  /shops/{shop}/drawers/{drawer}:
    parameters:
      - {name: shop, in: path, required: true, schema: {type: string}}
      - {name: drawer, in: path, required: true, schema: {type: string}}
    get:
      operationId: getDrawer
      responses: {"200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Drawer"}}}}}
    put:
      operationId: putDrawer
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Drawer"}}}}
      responses: {"200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Drawer"}}}}}
components:
  schemas:
    Pet:
      type: object
      required: [id]
      properties:
        id: {type: string, readOnly: true}
        serial: {type: string}
        name: {type: string}
    Drawer: {type: object, properties: {label: {type: string}}}
"##;

/// Sets `value` at each path of the document, by an overlay.
fn overlay(rows: &[(&str, Value)]) -> Document {
    let actions: Vec<Value> = rows
        .iter()
        .map(|(target, value)| json!({ "target": target, "update": value }))
        .collect();
    let overlay = json!({ "overlay": "1.0.0", "info": { "title": "What we mean", "version": "1" }, "actions": actions });
    Document::with_overlay(DOCUMENT, &overlay.to_string())
}

const PET: &str = "$.components.schemas.Pet";

fn verdicts(document: &Document) -> Vec<String> {
    let ids = [
        "createPet",
        "listPets",
        "getPet",
        "putPet",
        "deletePet",
        "renamePet",
    ];
    ids.iter().map(|id| document.verdict(id)).collect()
}

fn resource<'d>(document: &'d Document, name: &str) -> &'d Resource {
    let mut all = document.api.resources.iter();
    all.find(|resource| resource.words == name)
        .unwrap_or_else(|| panic!("there is no `{name}`"))
}

#[test]
fn what_is_guessed() {
    let document = Document::new(DOCUMENT);
    let guessed = [
        "create pet",
        "list pet",
        "get pet",
        "replace pet",
        "delete pet",
        "handler",
    ];
    assert_eq!(verdicts(&document), guessed);
    let pet = resource(&document, "pet");
    assert_eq!(
        (pet.topic.as_str(), pet.partitions, pet.partition_by),
        ("pet", 16, 1)
    );
    assert_eq!(pet.key[0].at.as_deref(), Some("/id"));
}

#[test]
fn actions_and_states_of_operations() {
    let delete = "$.paths['/pets/{petId}'].delete";
    for (value, verdict) in [
        (json!({ "x-memgen-action": "handler" }), "handler"),
        (json!({ "x-memgen-state": false }), "handler"),
    ] {
        let document = overlay(&[(delete, value)]);
        assert_eq!(document.verdict("deletePet"), verdict);
        assert_eq!(
            document.verdict("getPet"),
            "get pet",
            "the others stay as they are"
        );
    }
    // Another action than the method says.
    let put = "$.paths['/pets/{petId}'].put";
    let document = overlay(&[(put, json!({ "x-memgen-action": "update" }))]);
    assert_eq!(document.verdict("putPet"), "update pet");
    // An operation elsewhere works on a state by its name.
    let rename = "$.paths['/pets/{petId}/rename'].post";
    let on_pet = json!({ "x-memgen-action": "update", "x-memgen-state": "pet" });
    let document = overlay(&[(rename, on_pet)]);
    assert_eq!(document.verdict("renamePet"), "update pet");
}

#[test]
fn states_of_schemas() {
    let document = overlay(&[(PET, json!({ "x-memgen-state": false }))]);
    assert_eq!(verdicts(&document), ["handler"; 6]);
    let document = overlay(&[(PET, json!({ "x-memgen-name": "animal" }))]);
    assert_eq!(document.verdict("getPet"), "get animal");
    assert_eq!(resource(&document, "animal").topic, "animal");
    let layout = json!({ "x-memgen-topic": "zoo.pets-1", "x-memgen-partitions": 3 });
    let document = overlay(&[(PET, layout)]);
    let pet = resource(&document, "pet");
    assert_eq!((pet.topic.as_str(), pet.partitions), ("zoo.pets-1", 3));
    let document = overlay(&[(PET, json!({ "x-memgen-key": "/serial" }))]);
    assert_eq!(
        resource(&document, "pet").key[0].at.as_deref(),
        Some("/serial")
    );
    // The first part of the key decides the partition, or both do.
    let drawer = "$.components.schemas.Drawer";
    assert_eq!(resource(&Document::new(DOCUMENT), "drawer").partition_by, 1);
    let document = overlay(&[(drawer, json!({ "x-memgen-partition-by": 2 }))]);
    assert_eq!(resource(&document, "drawer").partition_by, 2);
}

#[test]
fn an_overlay_changes_anything() {
    let removed = json!({
        "overlay": "1.0.0",
        "info": { "title": "Less", "version": "1" },
        "actions": [{ "target": "$.paths['/pets/{petId}'].delete", "remove": true }],
    });
    let document = Document::with_overlay(DOCUMENT, &removed.to_string());
    assert!(
        document
            .api
            .operations
            .iter()
            .all(|it| it.id != "deletePet")
    );
    let document = overlay(&[(
        "$.components.schemas.Pet.properties.name",
        json!({ "maxLength": 3 }),
    )]);
    let limit = document
        .api
        .document
        .pointer("/components/schemas/Pet/properties/name/maxLength");
    assert_eq!(limit, Some(&json!(3)));
}

/// A pet.
#[stateful_api(topic = "pet", partitions = 16)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct PetState {
    #[key]
    pet_id: String,
    #[entity]
    pet: Value,
}

/// A drawer.
#[stateful_api(topic = "drawer", partitions = 16)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct DrawerState {
    #[key]
    #[partition_by]
    shop: String,
    #[key]
    drawer: String,
    #[entity]
    content: Value,
}

fn service(document: &Document) -> Service {
    let contract = document.contract();
    let contract = contract
        .entity::<PetState>("pet")
        .entity::<DrawerState>("drawer");
    memgen::service!(PetState, DrawerState).contract(contract)
}

/// What was decided is what happens.
#[tokio::test]
async fn the_service_does_as_it_is_told() {
    let rename = "$.paths['/pets/{petId}/rename'].post";
    let document = overlay(&[
        (
            rename,
            json!({ "x-memgen-action": "update", "x-memgen-state": "pet" }),
        ),
        (
            "$.paths['/pets/{petId}'].delete",
            json!({ "x-memgen-action": "handler" }),
        ),
        (PET, json!({ "x-memgen-key": "/serial" })),
    ]);
    let started = Started::new(service(&document), 1).await;
    let client = started.client(0);
    let made = client
        .post("/pets", &json!({ "serial": "s/1", "name": "Rex" }))
        .await;
    assert_eq!(
        (made.status, made.header("location")),
        (201, Some("/pets/s%2F1")),
        "{made:?}"
    );
    let renamed = client
        .post("/pets/s%2F1/rename", &json!({ "name": "Max" }))
        .await;
    assert_eq!(renamed.status, 200, "{renamed:?}");
    let read = client.get("/pets/s%2F1").await.json();
    assert_eq!(
        (&read["name"], &read["serial"]),
        (&json!("Max"), &json!("s/1"))
    );
    // The function that stands for the user's was called, and nothing was removed.
    let asked = client.delete("/pets/s%2F1").await.json();
    assert_eq!(asked["parameters"], json!({ "petId": "s/1" }));
    assert_eq!(client.get("/pets/s%2F1").await.status, 200);
    // None of it is for clients.
    let published = client.get("/openapi.json").await.text().to_owned();
    assert!(!published.contains("\"x-memgen\""), "{published}");
    started.stop().await;
}

/// Pets and drawers as the generator writes them for another layout of the log.
mod elsewhere {
    use super::{Deserialize, JsonSchema, Serialize, Value, stateful_api};

    /// A pet.
    #[stateful_api(topic = "zoo.pets-1", partitions = 3, ack(leader, os))]
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(super) struct PetState {
        #[key]
        pub(super) pet_id: String,
        #[entity]
        pub(super) pet: Value,
    }

    /// A drawer, whose shop does not decide the partition alone.
    #[stateful_api(topic = "drawer", partitions = 16)]
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(super) struct DrawerState {
        #[key]
        pub(super) shop: String,
        #[key]
        pub(super) drawer: String,
        #[entity]
        pub(super) content: Value,
    }
}

/// The partition in which a write is: `topic`, number.
fn position(reply: &memgen_tests::Reply) -> (String, u32) {
    let position = reply.header("memgen-position").expect("it is a write");
    let (partition, _) = position.split_once('@').expect("it has an offset");
    let (topic, number) = partition.rsplit_once('/').expect("it has a number");
    (topic.to_owned(), number.parse().expect("it is one"))
}

/// Topic, partitions and what decides the partition: from the document to the records of the log.
#[tokio::test]
async fn the_log_is_laid_out_as_it_is_told() {
    let layout = json!({ "x-memgen-topic": "zoo.pets-1", "x-memgen-partitions": 3, "x-memgen-ack": ["leader", "os"] });
    let drawer = "$.components.schemas.Drawer";
    let document = overlay(&[
        (PET, layout),
        (drawer, json!({ "x-memgen-partition-by": 2 })),
    ]);
    let options = emit::Options {
        name: "zoo".to_owned(),
        dependency: emit::Dependency::Version("1".to_owned()),
        alone: true,
        known: Vec::new(),
    };
    let files = emit::emit(&document.api, &options);
    let states = files.iter().find(|file| file.path.ends_with("states.rs"));
    let states = &states.expect("there are states").text;
    for written in [
        "#[stateful_api(topic = \"zoo.pets-1\", partitions = 3, ack(leader, os))]",
        "    #[key]\n    pub shop: String,\n    #[key]\n    pub drawer: String,\n",
    ] {
        assert!(states.contains(written), "{states}");
    }

    let contract = document.contract();
    let contract = contract
        .entity::<elsewhere::PetState>("pet")
        .entity::<elsewhere::DrawerState>("drawer");
    let service = memgen::service!(elsewhere::PetState, elsewhere::DrawerState).contract(contract);
    let (one, other) = (
        Started::new(service, 1).await,
        Started::new(self::service(&Document::new(DOCUMENT)), 1).await,
    );
    let mut shops = Vec::new();
    for started in [&one, &other] {
        let client = started.client(0);
        let (mut pets, mut drawers) = (BTreeSet::new(), BTreeSet::new());
        for n in 0..24 {
            let made = client.post("/pets", &json!({ "name": "Rex" })).await;
            assert_eq!(made.status, 201, "{made:?}");
            pets.insert(position(&made));
            let path = format!("/shops/one/drawers/{n}");
            let made = client.put(&path, &json!({ "label": "screws" })).await;
            assert!(matches!(made.status, 200 | 201), "{made:?}");
            drawers.insert(position(&made).1);
        }
        shops.push((pets, drawers.len()));
    }
    let zoo = (0..3).map(|number| ("zoo.pets-1".to_owned(), number));
    assert_eq!(shops[0].0, zoo.collect(), "each partition, and no other");
    assert!(shops[0].1 > 1, "the drawers of a shop are spread");
    assert!(shops[1].0.iter().all(|(topic, _)| topic == "pet") && shops[1].0.len() > 3);
    assert_eq!(shops[1].1, 1, "the drawers of a shop are together");
    one.stop().await;
    other.stop().await;
}
