//! What lists are asked for, and what entities refer to: limits and ids, which the document writes in one way and an entity holds in another.

use memgen::contract::prelude::*;
use memgen_tests::Client;
use serde_json::{Value, json};

use super::kit::{Document, Started};

/// Tasks, which refer to people by their ids.
const DOCUMENT: &str = r##"
openapi: 3.1.0
info: {title: Tasks, version: "1"}
paths:
  /tasks:
    post:
      operationId: createTask
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewTask"}}}}
      responses: {"201": {description: Made., content: {application/json: {schema: {$ref: "#/components/schemas/Task"}}}}}
    get:
      operationId: listTasks
      parameters:
        - {name: assignee, in: query, schema: {type: string}}
        - {name: label, in: query, schema: {type: array, items: {type: string}}}
        - {name: limit, in: query, schema: {type: integer, minimum: 1}}
        - name: effort
          in: query
          style: deepObject
          schema: {type: object, properties: {gt: {type: integer}, gte: {type: integer}, lt: {type: integer}, lte: {type: integer}}}
        - name: due
          in: query
          style: deepObject
          schema: {type: object, properties: {gte: {type: string, format: date}, lt: {type: string, format: date}}}
      responses: {"200": {description: All., content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Task"}}}}}}
  /tasks/{taskId}:
    parameters: [{name: taskId, in: path, required: true, schema: {type: string}}]
    get:
      operationId: getTask
      responses:
        "200":
          description: It.
          content:
            application/json: {schema: {$ref: "#/components/schemas/Task"}}
            application/vnd.task+json: {schema: {$ref: "#/components/schemas/Task"}}
    patch:
      operationId: updateTask
      requestBody: {required: true, content: {application/merge-patch+json: &change {schema: {$ref: "#/components/schemas/TaskChange"}}, application/json: *change}}
      responses: {"200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Task"}}}}}
components:
  schemas:
    Person: {type: object, required: [gid], properties: {gid: {type: string, minLength: 1}, name: {type: string}}}
    Task:
      type: object
      required: [taskId, name]
      properties:
        taskId: {type: string, readOnly: true}
        name: {type: string}
        effort: {type: integer}
        due: {type: string, format: date}
        label: {type: string}
        assignee: {anyOf: [{$ref: "#/components/schemas/Person"}, {type: "null"}]}
        followers: {type: array, items: {$ref: "#/components/schemas/Person"}}
        fields: {type: array, items: {type: string}}
    NewTask:
      type: object
      required: [name]
      properties: &fields
        name: {type: string}
        effort: {type: integer}
        due: {type: string, format: date}
        label: {type: string}
        assignee: {type: [string, "null"]}
        followers: {type: array, items: {type: string}}
        fields: {type: object, additionalProperties: {type: string}}
    TaskChange: {type: object, properties: *fields}
"##;

/// A task.
#[stateful_api(topic = "task", partitions = 16)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct TaskState {
    #[key]
    task_id: String,
    #[entity]
    task: Value,
}

async fn start() -> Started {
    let document = Document::new(DOCUMENT);
    for (id, verdict) in [
        ("createTask", "create task"),
        ("listTasks", "list task"),
        ("getTask", "get task"),
        ("updateTask", "update task"),
    ] {
        assert_eq!(document.verdict(id), verdict);
    }
    let contract = document.contract().entity::<TaskState>("task");
    Started::new(memgen::service!(TaskState).contract(contract), 2).await
}

/// Makes a task, and returns its path.
async fn create(client: &Client, task: &Value) -> String {
    let made = client.post("/tasks", task).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.header("location")
        .expect("it says where it is")
        .to_owned()
}

/// The names of what a list finds, on each node.
async fn names(started: &Started, query: &str) -> Vec<String> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for node in 0..started.running.nodes().len() {
        let reply = started.client(node).get(&format!("/tasks?{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        let tasks = reply.json();
        let tasks = tasks.as_array().expect("a list").iter();
        let mut names: Vec<String> = tasks
            .filter_map(|task| Some(task["name"].as_str()?.to_owned()))
            .collect();
        names.sort();
        found.push(names);
    }
    let one = found.remove(0);
    assert!(
        found.iter().all(|other| *other == one),
        "{query}: {one:?} {found:?}"
    );
    one
}

#[tokio::test]
async fn limits_are_filters() {
    let started = start().await;
    let client = started.client(0);
    for (name, effort, due) in [
        ("a", json!(1), json!("2026-01-31")),
        ("b", json!(2), json!("2026-02-01")),
        ("c", json!(10), json!("2026-10-01")),
    ] {
        create(
            &client,
            &json!({ "name": name, "effort": effort, "due": due, "label": name }),
        )
        .await;
    }
    // What has no value is within no limits.
    create(&client, &json!({ "name": "d" })).await;
    for (query, expected) in [
        ("effort[gt]=1", "b c"),
        ("effort[gte]=2", "b c"),
        // As numbers, not as texts.
        ("effort[lt]=10", "a b"),
        ("effort[lte]=10", "a b c"),
        ("effort[gt]=1&effort[lt]=10", "b"),
        ("effort[gt]=10", ""),
        ("due[gte]=2026-02-01", "b c"),
        ("due[lt]=2026-02-01&effort[lt]=9", "a"),
        ("label=a&label=c", "a c"),
        ("effort[gte]=2&limit=1", "b|c"),
    ] {
        let found = names(&started, query).await.join(" ");
        assert!(
            expected.split('|').any(|one| one == found),
            "{query}: {found}"
        );
    }
    for (query, status) in [
        ("effort[gt]=x", 400),
        ("due[gte]=yesterday", 422),
        ("effort[gt", 400),
    ] {
        let reply = client.get(&format!("/tasks?{query}")).await;
        assert_eq!(reply.status, status, "{query}: {reply:?}");
    }
    started.stop().await;
}

#[tokio::test]
async fn ids_are_kept_as_objects() {
    let started = start().await;
    let (client, other) = (started.client(0), started.client(1));
    let path = create(
        &client,
        &json!({ "name": "a", "assignee": "7", "followers": ["8", "9"] }),
    )
    .await;
    create(
        &client,
        &json!({ "name": "b", "assignee": null, "followers": [] }),
    )
    .await;
    create(&client, &json!({ "name": "c", "assignee": "8" })).await;
    let task = other.get(&path).await.json();
    assert_eq!(task["assignee"], json!({ "gid": "7" }));
    assert_eq!(task["followers"], json!([{ "gid": "8" }, { "gid": "9" }]));
    // A filter by the id finds the object.
    assert_eq!(names(&started, "assignee=7").await, ["a"]);
    assert_eq!(names(&started, "assignee=8").await, ["c"]);

    let changed = other.patch(&path, &json!({ "assignee": "8" })).await;
    assert_eq!(
        (changed.status, &changed.json()["assignee"]),
        (200, &json!({ "gid": "8" })),
        "{changed:?}"
    );
    assert_eq!(names(&started, "assignee=8").await, ["a", "c"]);
    let nobody = client
        .patch(&path, &json!({ "assignee": null, "followers": [] }))
        .await;
    assert_eq!(nobody.status, 200, "{nobody:?}");
    assert_eq!(nobody.json()["followers"], json!([]));
    assert!(
        nobody.json().get("assignee").is_none_or(Value::is_null),
        "{nobody:?}"
    );

    // What can be no value of the entity's is not dropped in silence, and what is none by its schema is refused.
    let unlike = client
        .post("/tasks", &json!({ "name": "d", "fields": { "a": "b" } }))
        .await;
    assert_eq!(unlike.status, 501, "{unlike:?}");
    let empty = client
        .post("/tasks", &json!({ "name": "d", "assignee": "" }))
        .await;
    assert_eq!(empty.status, 422, "{empty:?}");
    assert!(empty.text().contains("/assignee"), "{empty:?}");
    started.stop().await;
}

#[tokio::test]
async fn replies_have_the_media_type_that_is_asked_for() {
    let started = start().await;
    let client = started.client(1);
    let path = create(&client, &json!({ "name": "a" })).await;
    let get = |accept: &'static str| {
        let (client, path) = (client.clone(), path.clone());
        async move {
            client
                .request("GET", &path)
                .header("accept", accept)
                .send()
                .await
        }
    };
    for (accept, media_type) in [
        ("*/*", "application/json"),
        ("application/vnd.task+json", "application/vnd.task+json"),
        ("text/html, application/*;q=0.5", "application/json"),
        (
            "application/json;q=0.1, application/vnd.task+json;q=0.2",
            "application/vnd.task+json",
        ),
    ] {
        let reply = get(accept).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(media_type)),
            "{accept}: {reply:?}"
        );
    }
    for accept in ["text/html", "application/json;q=0", "image/*"] {
        let reply = get(accept).await;
        assert_eq!(reply.status, 406, "{accept}: {reply:?}");
        let detail = reply.problem()["detail"].clone();
        assert!(
            detail.to_string().contains("application/vnd.task+json"),
            "{detail}"
        );
    }
    // A command that can't be answered changes nothing.
    let request = client.request("PATCH", &path).header("accept", "text/html");
    let refused = request.json(&json!({ "name": "b" })).send().await;
    assert_eq!(refused.status, 406, "{refused:?}");
    assert_eq!(get("*/*").await.json()["name"], "a");
    started.stop().await;
}
