//! The operations that the runtime does by a document on its states: over HTTP, on two nodes, across restarts.

use memgen::{contract::Entity, prelude::*};
use memgen_tests::{Client, Random, Reply};
use serde_json::{Value, json};

use super::kit::Started;

/// Two resources, one within the other, with the decisions as the generator writes them.
#[allow(clippy::too_many_lines, reason = "a document")]
fn document() -> Value {
    let error = json!({"description": "It went wrong.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    let json_of = |schema: Value| json!({"description": "Done.", "content": {"application/json": {"schema": schema}}});
    let body_of = |schema: Value| json!({"required": true, "content": {"application/json": {"schema": schema}}});
    let owner = json!({"$ref": "#/components/schemas/Owner"});
    let pet = json!({"$ref": "#/components/schemas/Pet"});
    let wrapped = json!({"type": "object", "required": ["data", "kind"], "properties": {"data": owner, "kind": {"type": "string", "enum": ["owner"]}}});
    let query = |name: &str, schema: Value| json!({"name": name, "in": "query", "schema": schema});
    let owner_id = json!({"name": "ownerId", "in": "path", "required": true, "schema": {"type": "integer", "format": "int64"}});
    let pet_name =
        json!({"name": "petName", "in": "path", "required": true, "schema": {"type": "string"}});
    let owner_key = json!([{"parameter": "ownerId"}]);
    let pet_key = json!([{"parameter": "ownerId"}, {"parameter": "petName"}]);
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pets and owners", "version": "1"},
        "x-memgen": {"states": {
            "owner": {
                "schema": "#/components/schemas/Owner", "topic": "owner", "partitions": 8, "partition_by": 1,
                "key": [{"parameter": "ownerId", "type": "int64", "at": "/id"}],
                "fill": {"/createdAt": "created", "/updatedAt": "updated"},
            },
            "pet": {
                "schema": "#/components/schemas/Pet", "topic": "pet", "partitions": 8, "partition_by": 1,
                "key": [{"parameter": "ownerId", "type": "int64"}, {"parameter": "petName", "type": "string", "at": "/name"}],
                "fill": {"/status": {"value": "available"}},
            },
            "slot": {
                "schema": "#/components/schemas/Slot", "topic": "slot", "partitions": 4, "partition_by": 1,
                "key": [{"parameter": "slotId", "type": "int32", "at": "/id"}],
            },
        }},
        "paths": {
            "/owners": {
                "get": {
                    "operationId": "listOwners",
                    "parameters": [
                        query("limit", json!({"type": "integer", "minimum": 1})), query("cursor", json!({"type": "string"})),
                        query("city", json!({"type": "string"})), query("since", json!({"type": "string", "format": "date-time"})),
                        query("sort", json!({"type": "string", "default": "name"})),
                    ],
                    "responses": {"200": json_of(json!({"type": "object", "required": ["items", "total"], "properties": {
                        "items": {"type": "array", "items": owner}, "next": {"type": "string"}, "total": {"type": "integer"},
                        "limit": {"type": "integer"},
                    }}))},
                    "x-memgen": {"state": "owner", "action": "list", "reply": "/items", "refuses": ["sort"], "list": {
                        "limit": "limit", "after": "cursor", "next": "/next", "total": "/total", "filters": {"city": "/city", "since": "/since"},
                    }},
                },
                "post": {
                    "operationId": "createOwner",
                    "requestBody": body_of(json!({"type": "object", "required": ["data"], "properties": {"data": owner}})),
                    "responses": {"201": json_of(wrapped.clone()), "default": error},
                    "x-memgen": {"state": "owner", "action": "create", "status": 201, "key": [{"server": "int64"}], "request": "/data", "reply": "/data"},
                },
            },
            "/slots": {
                "post": {
                    "operationId": "createSlot", "requestBody": body_of(json!({"$ref": "#/components/schemas/Slot"})),
                    "responses": {"201": json_of(json!({"$ref": "#/components/schemas/Slot"}))},
                    "x-memgen": {"state": "slot", "action": "create", "key": [{"server": "int32"}], "request": "", "reply": ""},
                },
                // The key is in the body.
                "put": {
                    "operationId": "putSlot", "requestBody": body_of(json!({"$ref": "#/components/schemas/SlotWithId"})),
                    "responses": {"200": json_of(json!({"$ref": "#/components/schemas/Slot"}))},
                    "x-memgen": {"state": "slot", "action": "replace", "key": [{"body": "/id"}], "request": "", "reply": ""},
                },
            },
            "/slots/{slotId}": {
                "delete": {
                    "operationId": "deleteSlot", "responses": {"204": {"description": "Gone."}},
                    "parameters": [{"name": "slotId", "in": "path", "required": true, "schema": {"type": "integer", "format": "int32"}}],
                    "x-memgen": {"state": "slot", "action": "delete", "key": [{"parameter": "slotId"}], "status": 204},
                },
            },
            "/owners/{ownerId}": {
                "parameters": [owner_id],
                "get": {
                    "operationId": "getOwner", "responses": {"200": json_of(wrapped), "404": error},
                    "x-memgen": {"state": "owner", "action": "get", "key": owner_key, "reply": "/data"},
                },
                "put": {
                    "operationId": "replaceOwner", "requestBody": body_of(owner.clone()), "responses": {"200": json_of(owner.clone())},
                    "x-memgen": {"state": "owner", "action": "replace", "key": owner_key, "request": "", "reply": "", "missing": "404"},
                },
                "patch": {
                    "operationId": "updateOwner",
                    "requestBody": {"content": {
                        "application/merge-patch+json": {"schema": {"$ref": "#/components/schemas/OwnerPatch"}},
                        "application/json-patch+json": {"schema": {"type": "array", "items": {"type": "object"}}},
                    }},
                    "responses": {"200": json_of(owner.clone())},
                    "x-memgen": {"state": "owner", "action": "update", "key": owner_key, "request": "", "reply": ""},
                },
                "delete": {
                    "operationId": "deleteOwner", "responses": {"204": {"description": "Gone."}},
                    "x-memgen": {"state": "owner", "action": "delete", "key": owner_key, "status": 204},
                },
            },
            "/owners/{ownerId}/pets": {
                "parameters": [owner_id],
                "get": {
                    "operationId": "listPets",
                    "parameters": [
                        query("page", json!({"type": "integer", "minimum": 1})), query("size", json!({"type": "integer"})),
                        query("status", json!({"type": "array", "items": {"type": "string"}})),
                        query("tame", json!({"type": "boolean"})), query("weight", json!({"type": "number"})),
                    ],
                    "responses": {"200": json_of(json!({"type": "array", "items": pet}))},
                    "x-memgen": {"state": "pet", "action": "list", "key": [{"parameter": "ownerId"}], "reply": "", "list": {
                        "limit": "size", "page": "page", "filters": {"status": "/status", "tame": "/tame", "weight": "/weight"},
                    }},
                },
                "post": {
                    "operationId": "createPet", "requestBody": body_of(pet.clone()),
                    "responses": {"201": json_of(pet.clone()), "409": error},
                    "x-memgen": {
                        "state": "pet", "action": "create", "status": 201, "request": "", "reply": "",
                        "key": [{"parameter": "ownerId"}, {"body": "/name"}], "parent": {"state": "owner"},
                    },
                },
            },
            "/owners/{ownerId}/pets/{petName}": {
                "parameters": [owner_id, pet_name],
                "get": {
                    "operationId": "getPet", "responses": {"200": json_of(pet.clone())},
                    "x-memgen": {"state": "pet", "action": "get", "key": pet_key, "reply": ""},
                },
                "put": {
                    "operationId": "putPet", "requestBody": body_of(pet.clone()),
                    "responses": {"200": json_of(pet.clone()), "201": json_of(pet)},
                    "x-memgen": {"state": "pet", "action": "replace", "key": pet_key, "request": "", "reply": "", "missing": "create"},
                },
                "delete": {
                    "operationId": "deletePet",
                    "responses": {"200": json_of(json!({"type": "object", "required": ["deleted"], "properties": {"deleted": {"const": true}}}))},
                    "x-memgen": {"state": "pet", "action": "delete", "key": pet_key, "status": 200},
                },
            },
        },
        "components": {"schemas": {
            "Owner": {
                "type": "object", "required": ["id", "name", "createdAt"],
                "properties": {
                    "id": {"type": "integer", "format": "int64", "readOnly": true},
                    "name": {"type": "string", "minLength": 1},
                    "city": {"type": "string"},
                    "since": {"type": "string", "format": "date-time"},
                    "password": {"type": "string", "writeOnly": true},
                    "createdAt": {"type": "string", "format": "date-time", "readOnly": true},
                    "updatedAt": {"type": "string", "format": "date-time", "readOnly": true},
                },
            },
            "OwnerPatch": {"type": "object", "properties": {"name": {"type": ["string", "null"]}, "city": {"type": ["string", "null"]}}},
            "Pet": {
                "type": "object", "required": ["name", "status"],
                "properties": {
                    "name": {"type": "string", "minLength": 1}, "status": {"type": "string", "enum": ["available", "sold"], "default": "available"},
                    "tame": {"type": "boolean"}, "weight": {"type": "number"},
                },
            },
            "Slot": {
                "type": "object", "required": ["id"],
                "properties": {"id": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10, "readOnly": true}, "label": {"type": "string"}},
            },
            "SlotWithId": {
                "type": "object", "required": ["id"],
                "properties": {"id": {"type": "integer", "format": "int32"}, "label": {"type": "string"}},
            },
            "Error": {"type": "object", "required": ["code", "message"], "properties": {"code": {"type": "integer"}, "message": {"type": "string"}}},
        }},
    })
}

/// What the document calls an owner.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner {
    id: i64,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// An owner.
#[stateful_api(path = "/owners", topic = "owner", partitions = 8)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OwnerState {
    #[key]
    owner_id: i64,
    owner: Owner,
}

impl Entity for OwnerState {
    type Value = Owner;
    const FIELD: &'static str = "owner";

    fn with(owner_id: i64, owner: Owner) -> Self {
        Self { owner_id, owner }
    }

    fn value(&self) -> &Owner {
        &self.owner
    }
}

/// What the document calls a pet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Pet {
    name: String,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tame: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
}

/// A pet of an owner.
#[stateful_api(path = "/owners/{owner_id}/pets", topic = "pet", partitions = 8)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PetState {
    #[key]
    #[partition_by]
    owner_id: i64,
    #[key]
    pet_name: String,
    pet: Pet,
}

impl Entity for PetState {
    type Value = Pet;
    const FIELD: &'static str = "pet";

    fn with((owner_id, pet_name): (i64, String), pet: Pet) -> Self {
        Self {
            owner_id,
            pet_name,
            pet,
        }
    }

    fn value(&self) -> &Pet {
        &self.pet
    }
}

/// What the document calls a slot: there are ten.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Slot {
    id: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

/// One of ten.
#[stateful_api(path = "/slots", topic = "slot", partitions = 4)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SlotState {
    #[key]
    slot_id: i32,
    slot: Slot,
}

impl Entity for SlotState {
    type Value = Slot;
    const FIELD: &'static str = "slot";

    fn with(slot_id: i32, slot: Slot) -> Self {
        Self { slot_id, slot }
    }

    fn value(&self) -> &Slot {
        &self.slot
    }
}

/// The service, which keeps all of it.
fn service() -> memgen::Service {
    let document: &'static str = document().to_string().leak();
    let contract = memgen::contract::Contract::new(document)
        .entity::<OwnerState>("owner")
        .entity::<PetState>("pet")
        .entity::<SlotState>("slot");
    memgen::service!(OwnerState, PetState, SlotState).contract(contract)
}

async fn start(nodes: u16) -> Started {
    Started::new(service(), nodes).await
}

async fn restart(started: Started, nodes: u16) -> Started {
    let folder = started.stop().await;
    Started::on(folder, service(), |config| config.nodes = nodes).await
}

async fn create_owner(client: &Client, owner: &Value) -> i64 {
    let reply = client.post("/owners", &json!({"data": owner})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()["data"]["id"].as_i64().expect("an id")
}

/// The reply without what the clock decides.
fn without_times(reply: &Reply) -> Value {
    let mut body = reply.json();
    for at in ["", "/data"] {
        if let Some(Value::Object(fields)) = body.pointer_mut(at) {
            fields.remove("createdAt");
            fields.remove("updatedAt");
        }
    }
    body
}

#[tokio::test]
async fn an_entity_from_its_beginning_to_its_end() {
    let started = start(2).await;
    let (client, other) = (started.client(0), started.client(1));
    for round in 0..10 {
        let owner = json!({"name": format!("a{round}"), "city": "Ulm", "password": "secret", "id": 3, "createdAt": "1999-01-01T00:00:00Z"});
        let reply = client.post("/owners", &json!({"data": owner})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let made = reply.json();
        let id = made["data"]["id"].as_i64().expect("an id");
        assert!(id > 3, "the server makes it: {reply:?}");
        assert_ne!(made["data"]["createdAt"], "1999-01-01T00:00:00Z");
        assert_eq!(made["kind"], "owner");
        assert_eq!(made["data"].get("password"), None);
        let path = format!("/owners/{id}");
        assert_eq!(reply.header("location"), Some(path.as_str()));
        assert!(reply.header("memgen-position").is_some());

        let read = other.get(&path).await;
        assert_eq!(
            (read.status, read.json(), read.etag()),
            (200, made.clone(), reply.etag())
        );

        let stale = client
            .request("PUT", &path)
            .header("if-match", "\"0000000000000000\"");
        assert_eq!(stale.json(&json!({"name": "b"})).send().await.status, 412);
        let fresh = client
            .request("PUT", &path)
            .header("if-match", reply.etag());
        let replaced = fresh
            .json(&json!({"name": "b", "since": "2020-01-01T00:00:00Z"}))
            .send()
            .await;
        assert_eq!(replaced.status, 200, "{replaced:?}");
        assert_eq!(
            without_times(&replaced),
            json!({"id": id, "name": "b", "since": "2020-01-01T00:00:00Z"})
        );
        assert_eq!(
            replaced.json()["createdAt"],
            made["data"]["createdAt"],
            "it is made once"
        );

        let patched = other.patch(&path, &json!({"city": "Bonn"})).await;
        assert_eq!(without_times(&patched)["city"], "Bonn", "{patched:?}");
        let steps = json!([{"op": "replace", "path": "/city", "value": "Köln"}, {"op": "add", "path": "/id", "value": 5}]);
        let patched = client
            .request("PATCH", &path)
            .header("content-type", "application/json-patch+json");
        let patched = patched.body(steps.to_string()).send().await;
        assert_eq!(patched.status, 200, "{patched:?}");
        assert_eq!(
            (&patched.json()["city"], &patched.json()["id"]),
            (&json!("Köln"), &json!(id))
        );
        let wrong = client.patch(&path, &json!({"name": null})).await;
        assert_eq!(wrong.status, 422, "{wrong:?}");
        assert!(wrong.text().contains("name"), "{wrong:?}");
        let wrong = client.patch(&path, &json!({"name": ""})).await;
        assert_eq!(wrong.status, 422, "the result is checked: {wrong:?}");
        assert!(wrong.text().contains("/name"), "{wrong:?}");

        let gone = other.delete(&path).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
        for (method, body) in [
            ("GET", None),
            ("DELETE", None),
            ("PUT", Some(json!({"name": "b"}))),
            ("PATCH", Some(json!({}))),
        ] {
            let request = client.request(method, &path);
            let reply = match (method, body) {
                ("PATCH", _) => client.patch(&path, &json!({})).await,
                (_, Some(body)) => request.json(&body).send().await,
                (_, None) => request.send().await,
            };
            assert_eq!(reply.status, 404, "{method}: {reply:?}");
        }
    }
    started.running.stop().await;
}

#[tokio::test]
async fn a_resource_within_another() {
    let started = start(2).await;
    let (client, other) = (started.client(0), started.client(1));
    let nobody = client
        .post("/owners/77/pets", &json!({"name": "x", "status": "sold"}))
        .await;
    assert_eq!(nobody.status, 404, "{nobody:?}");
    for _ in 0..5 {
        let owner = create_owner(&client, &json!({"name": "o"})).await;
        let pets = format!("/owners/{owner}/pets");
        let rex = json!({"name": "re/x", "status": "sold"});
        let reply = client.post(&pets, &rex).await;
        assert_eq!(
            (reply.status, reply.json()),
            (201, rex.clone()),
            "{reply:?}"
        );
        let path = format!("{pets}/re%2Fx");
        assert_eq!(reply.header("location"), Some(path.as_str()));
        let again = other.post(&pets, &rex).await;
        assert_eq!(again.status, 409, "{again:?}");
        assert!(
            again.json()["message"].as_str().is_some(),
            "in the document's shape: {again:?}"
        );
        assert_eq!(other.get(&path).await.json(), rex);

        let minka = json!({"name": "minka", "status": "available", "tame": true, "weight": 3.5});
        let path = format!("{pets}/minka");
        assert_eq!(other.put(&path, &minka).await.status, 201);
        assert_eq!(client.put(&path, &minka).await.status, 200);
        let other_name = client
            .put(&path, &json!({"name": "rex", "status": "sold"}))
            .await;
        assert_eq!(other_name.status, 422, "{other_name:?}");
        assert!(other_name.text().contains("/name"), "{other_name:?}");

        for (query, names) in [
            ("", vec!["minka", "re/x"]),
            ("?status=sold", vec!["re/x"]),
            ("?status=sold&status=available", vec!["minka", "re/x"]),
            ("?tame=true", vec!["minka"]),
            ("?tame=false", vec![]),
            ("?weight=3.50", vec!["minka"]),
            ("?size=1&page=1", vec!["minka"]),
            ("?size=1&page=2", vec!["re/x"]),
            ("?size=1&page=3", vec![]),
            ("?page=99999999999", vec![]),
        ] {
            for client in [&client, &other] {
                let reply = client.get(&format!("{pets}{query}")).await;
                let Value::Array(found) = reply.json() else {
                    panic!("{reply:?}")
                };
                let found: Vec<_> = found
                    .iter()
                    .filter_map(|pet| pet["name"].as_str())
                    .collect();
                assert_eq!(found, names, "{query}");
            }
        }
        let gone = client.delete(&path).await;
        assert_eq!((gone.status, gone.json()), (200, json!({"deleted": true})));
    }
    started.running.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let started = start(1).await;
    let client = started.client(0);
    let owner = create_owner(&client, &json!({"name": "o"})).await;
    for (method, path, body, status, word) in [
        ("GET", "/owners/x".to_owned(), None, 400, "ownerId"),
        ("GET", "/owners/5".to_owned(), None, 404, "owner"),
        ("GET", "/owners?cursor=x".to_owned(), None, 400, "cursor"),
        ("GET", "/owners?limit=0".to_owned(), None, 422, "limit"),
        (
            "GET",
            "/owners?limit=1&sort=name".to_owned(),
            None,
            501,
            "sort",
        ),
        ("POST", "/owners".to_owned(), Some(json!({})), 422, "data"),
        (
            "POST",
            "/owners".to_owned(),
            Some(json!({"data": {}})),
            422,
            "name",
        ),
        (
            "POST",
            "/owners".to_owned(),
            Some(json!({"data": {"name": ""}})),
            422,
            "/data/name",
        ),
        (
            "POST",
            format!("/owners/{owner}/pets"),
            Some(json!({"status": "sold"})),
            422,
            "name",
        ),
        (
            "POST",
            format!("/owners/{owner}/pets"),
            Some(json!({"name": "a", "status": "lost"})),
            422,
            "/status",
        ),
        (
            "PUT",
            format!("/owners/{owner}"),
            Some(json!({"city": "x"})),
            422,
            "name",
        ),
    ] {
        let request = client.request(method, &path);
        let reply = match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        };
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert!(reply.text().contains(word), "{method} {path}: {reply:?}");
    }
    started.running.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_all() {
    let mut started = start(1).await;
    let client = started.client(0);
    let owner = create_owner(&client, &json!({"name": "o", "password": "p"})).await;
    let pets = format!("/owners/{owner}/pets");
    assert_eq!(
        client
            .post(&pets, &json!({"name": "a", "status": "sold"}))
            .await
            .status,
        201
    );
    let before = client.get(&format!("/owners/{owner}")).await;
    started = restart(started, 1).await;
    let client = started.client(0);
    let after = client.get(&format!("/owners/{owner}")).await;
    assert_eq!((after.json(), after.etag()), (before.json(), before.etag()));
    assert_eq!(
        client.get(&pets).await.json(),
        json!([{"name": "a", "status": "sold"}])
    );
    started.running.stop().await;
}

#[tokio::test]
async fn many_create_at_once() {
    let started = start(2).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let client = started.client(task % 2);
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for n in 0..25 {
                ids.push(
                    create_owner(
                        &client,
                        &json!({"name": format!("{task} {n}"), "city": "Ulm"}),
                    )
                    .await,
                );
            }
            ids
        });
    }
    let mut ids: Vec<i64> = tasks.join_all().await.into_iter().flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200, "each has an id of its own");
    // Of many that want one name, one gets it.
    let pets = format!("/owners/{}/pets", ids[0]);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (client, pets) = (started.client(task % 2), pets.clone());
        tasks.spawn(async move {
            client
                .post(&pets, &json!({"name": "one", "status": "sold"}))
                .await
                .status
        });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    started.running.stop().await;
}

#[tokio::test]
async fn a_request_that_comes_again_makes_nothing_twice() {
    let mut started = start(2).await;
    let mut random = Random::new();
    for round in 0..10 {
        let id = format!("key {round} {}", random.below(1_000_000));
        let body = json!({"data": {"name": "o"}});
        let send = |client: Client, body: Value| {
            let id = id.clone();
            async move {
                client
                    .request("POST", "/owners")
                    .header("idempotency-key", &id)
                    .json(&body)
                    .send()
                    .await
            }
        };
        let first = send(started.client(0), body.clone()).await;
        assert_eq!(first.status, 201, "{first:?}");
        if round == 5 {
            started = restart(started, 2).await;
        }
        for node in 0..2 {
            let again = send(started.client(node), body.clone()).await;
            assert_eq!(
                (again.status, again.json()),
                (201, first.json()),
                "{again:?}"
            );
            assert_eq!(again.header("location"), first.header("location"));
            let other = send(started.client(node), json!({"data": {"name": "p"}})).await;
            assert_eq!(
                other.status, 422,
                "another request with the same key: {other:?}"
            );
        }
    }
    let all = started.client(0).get("/owners").await;
    assert_eq!(all.json()["total"], 10, "{all:?}");
    started.running.stop().await;
}

#[tokio::test]
async fn taken_keys_are_tried_around_and_not_remembered() {
    let started = start(2).await;
    let create = |node: usize, key: usize| {
        let client = started.client(node);
        async move {
            let request = client
                .request("POST", "/slots")
                .header("idempotency-key", &format!("slot {key}"));
            request.json(&json!({"label": "x"})).send().await
        }
    };
    let mut made = Vec::new();
    let mut refused = None;
    for key in 0..200 {
        let reply = create(key % 2, key).await;
        match reply.status {
            201 => made.push((key, reply.json()["id"].as_i64().expect("an id"))),
            503 => refused = Some(key),
            _ => panic!("{reply:?}"),
        }
    }
    let mut ids: Vec<i64> = made.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        (1..=10).collect::<Vec<_>>(),
        "each slot is taken, once"
    );
    for (key, id) in &made {
        let again = create(0, *key).await;
        assert_eq!(
            (again.status, &again.json()["id"]),
            (201, &json!(id)),
            "{again:?}"
        );
    }
    let client = started.client(0);
    let label = |id: i64, label: &str| json!({"id": id, "label": label});
    assert_eq!(
        client.put("/slots", &label(3, "y")).await.json(),
        label(3, "y")
    );
    for id in ids {
        assert_eq!(client.delete(&format!("/slots/{id}")).await.status, 204);
    }
    assert_eq!(client.put("/slots", &label(3, "y")).await.status, 404);
    let refused = refused.expect("there are only ten");
    assert_eq!(
        create(1, refused).await.status,
        201,
        "a refusal is no outcome"
    );
    started.running.stop().await;
}

/// All names, page by page.
async fn names(client: &Client, query: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut path = format!("/owners?{query}");
    loop {
        let page = client.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        for owner in page["items"].as_array().expect("items") {
            names.push(owner["name"].as_str().expect("a name").to_owned());
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => path = format!("/owners?{query}&cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test]
async fn pages_to_the_end_while_others_come_and_go() {
    let started = start(2).await;
    let (client, other) = (started.client(0), started.client(1));
    let mut lasting = Vec::new();
    for n in 0..60 {
        let city = if n % 3 == 0 { "Ulm" } else { "Bonn" };
        create_owner(
            &client,
            &json!({"name": format!("{n}"), "city": city, "since": "2020-01-01T01:00:00+01:00"}),
        )
        .await;
        lasting.push(format!("{n}"));
    }
    let coming = tokio::spawn(async move {
        for n in 0..60 {
            let id = create_owner(&other, &json!({"name": format!("x{n}"), "city": "Rom"})).await;
            assert_eq!(other.delete(&format!("/owners/{id}")).await.status, 204);
        }
    });
    for query in ["limit=7", "limit=1", "limit=1000"] {
        let mut found = names(&client, query).await;
        found.retain(|name| !name.starts_with('x'));
        let mut sorted = found.clone();
        sorted.sort_by_key(|name| name.parse::<u32>().expect("a number"));
        assert_eq!(sorted, lasting, "{query}");
    }
    coming.await.expect("they come and go");
    for (query, count) in [
        ("city=Ulm&limit=3", 20),
        ("city=Bonn&limit=7", 40),
        ("city=Rom", 0),
        ("since=2020-01-01T00:00:00Z&limit=9", 60),
        ("since=2020-01-01T00:00:00Z&city=Ulm", 20),
    ] {
        assert_eq!(names(&client, query).await.len(), count, "{query}");
        assert_eq!(
            client.get(&format!("/owners?{query}")).await.json()["total"],
            count,
            "{query}"
        );
    }
    started.running.stop().await;
}
