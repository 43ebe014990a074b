//! The notes over HTTP.

mod kit;

use kit::Service;
use serde_json::json;

#[test]
fn notes_survive_a_crash() {
    let data = tempfile::tempdir().expect("there is room");
    let service = Service::start(data.path());
    let (status, note) = service.send("POST", "/notes", &json!({ "text": "buy some bread" }));
    assert_eq!(status, 201, "{note}");
    let id = note["id"].as_str().expect("the server made an id");
    let path = format!("/notes/{id}");
    service.kill();

    let service = Service::start(data.path());
    assert_eq!(service.get(&path), (200, note));
    assert_eq!(service.get(&format!("{path}/words")), (200, json!(3)));
    assert_eq!(service.send("PUT", &path, &json!({ "text": "" })).0, 422);
    assert_eq!(service.send("DELETE", &path, &json!({})).0, 204);
    assert_eq!(service.get(&path).0, 404);
}
