//! Asana: envelopes, ids of the server's, ids that become objects, pages by an offset that is a text.

use serde_json::{Value, json};

use super::service::{Document, next};

pub(crate) const ASANA: Document = Document {
    name: "asana",
    file: "asana.yaml",
    credentials: "personalAccessToken=token",
    shown: ("authorization", "Bearer token"),
};

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story")]
async fn tasks_and_projects() {
    let mut asana = ASANA.start().await;
    let closed = asana.stranger("GET", "/tasks").await;
    assert_eq!(closed.status, 401);
    assert!(
        closed.json()["errors"][0]["message"].is_string(),
        "{closed:?}"
    );

    let project = json!({ "data": { "name": "Move", "team": "77", "archived": false } });
    let project = asana.json("POST", "/projects", &project).await;
    assert_eq!(project.status, 201, "{project:?}");
    let project = project.json()["data"].clone();
    assert_eq!(
        project["team"]["gid"], "77",
        "a text in the request, an object in the reply"
    );

    let mut tasks: Vec<String> = Vec::new();
    for number in 0..25 {
        let assignee = if number % 5 == 0 { "ann" } else { "bob" };
        let task = json!({ "data": {
            "name": format!("Box {number}"), "workspace": "1", "assignee": assignee, "followers": ["8", "9"], "due_on": "2026-12-01",
        } });
        let reply = asana.json("POST", "/tasks", &task).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let task = reply.json()["data"].clone();
        assert_eq!(task["assignee"]["gid"], assignee);
        assert_eq!(task["followers"].as_array().map(Vec::len), Some(2));
        let gid = task["gid"]
            .as_str()
            .expect("the server makes it")
            .to_owned();
        assert_eq!(reply.header("location"), Some(&*format!("/tasks/{gid}")));
        tasks.push(gid);
    }

    // Page by page, each of them once.
    let (mut seen, mut target) = (Vec::new(), Some("/tasks?limit=10&workspace=1".to_owned()));
    while let Some(page) = target {
        let reply = asana.send("GET", &page).await;
        let items = reply.json()["data"].as_array().cloned().unwrap_or_default();
        assert!(items.len() <= 10);
        seen.extend(
            items
                .into_iter()
                .filter_map(|task| Some(task["gid"].as_str()?.to_owned())),
        );
        target = next(&reply);
    }
    let mut all = tasks.clone();
    all.sort();
    seen.sort();
    assert_eq!(seen, all);
    let of_ann = asana.read("/tasks?assignee=ann&limit=100").await;
    assert_eq!(of_ann["data"].as_array().map(Vec::len), Some(5));

    let path = format!("/tasks/{}", tasks[0]);
    let change = json!({ "data": { "completed": true, "assignee": "eve", "notes": "done" } });
    let changed = asana.json("PUT", &path, &change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let task = changed.json()["data"].clone();
    assert_eq!(
        (&task["completed"], &task["name"]),
        (&json!(true), &json!("Box 0"))
    );
    assert_eq!(
        task["assignee"],
        json!({ "gid": "eve" }),
        "another one, not the old one with another id"
    );
    let alone = asana
        .json("PUT", &path, &json!({ "data": { "assignee": null } }))
        .await;
    assert_eq!(
        alone.json()["data"]
            .get("assignee")
            .filter(|it| !it.is_null()),
        None
    );

    for (method, target, body, status) in [
        (
            "POST",
            "/tasks",
            json!({ "data": { "due_on": "soon" } }),
            422,
        ),
        (
            "POST",
            "/tasks",
            json!({ "data": { "approval_status": "maybe" } }),
            422,
        ),
        (
            "POST",
            "/tasks",
            json!({ "data": { "custom_fields": { "1": "x" } } }),
            501,
        ),
        ("PUT", "/tasks/none", json!({ "data": {} }), 404),
        ("GET", "/tasks?section=5", Value::Null, 501),
        ("GET", "/tags/none", Value::Null, 404),
        ("PUT", "/tags/1", Value::Null, 501),
    ] {
        let reply = match &body {
            Value::Null => asana.send(method, target).await,
            body => asana.json(method, target, body).await,
        };
        assert_eq!(reply.status, status, "{method} {target} {body}: {reply:?}");
    }

    let removed = format!("/tasks/{}", tasks[1]);
    let gone = asana.send("DELETE", &removed).await;
    // The smallest answer that the document describes: it does not demand `data`.
    assert_eq!((gone.status, gone.json()), (200, json!({})));

    let before = asana.send("GET", &path).await;
    asana.crash().await;
    let after = asana.send("GET", &path).await;
    assert_eq!((after.json(), after.etag()), (before.json(), before.etag()));
    let missing = asana.send("GET", &removed).await;
    assert_eq!(missing.status, 404);
    assert!(
        missing.json()["errors"][0]["message"].is_string(),
        "{missing:?}"
    );
    let list = asana.read("/tasks?limit=100").await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(24));
    let kept = asana
        .read(&format!(
            "/projects/{}",
            project["gid"].as_str().unwrap_or_default()
        ))
        .await;
    assert_eq!(kept["data"], project);
}
