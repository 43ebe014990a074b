//! Owners, their pets, and slots of which there are ten: a document with the decisions as the generator writes them, and its service.

use memgen::{contract::Entity, prelude::*};
use memgen_tests::Client;
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

pub(crate) async fn start(nodes: u16) -> Started {
    Started::new(service(), nodes).await
}

pub(crate) async fn restart(started: Started, nodes: u16) -> Started {
    let folder = started.stop().await;
    Started::on(folder, service(), |config| config.nodes = nodes).await
}

pub(crate) async fn create_owner(client: &Client, owner: &Value) -> i64 {
    let reply = client.post("/owners", &json!({"data": owner})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()["data"]["id"].as_i64().expect("an id")
}
