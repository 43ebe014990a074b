//! The graph over HTTP.

mod kit;

use kit::Service;
use serde_json::{Value, json};

#[test]
fn edges_are_seen_from_both_ends() {
    let data = tempfile::tempdir().expect("there is room");
    let service = Service::start(data.path());
    for (follower, followed) in [("ann", "bob"), ("bob", "ann"), ("ann", "cy")] {
        let path = format!("/follow/{follower}/{followed}");
        assert_eq!(service.send("POST", &path, &Value::Null).0, 204);
    }
    service.kill();

    let service = Service::start(data.path());
    assert_eq!(service.get("/people/ann/friends").1, json!(["bob"]));
    assert_eq!(service.get("/people/cy").1["followers"], json!(["ann"]));
    assert_eq!(service.get("/people/dora").0, 404);
    let path = "/follow/ann/ann";
    assert_eq!(service.send("POST", path, &Value::Null).0, 409);
}
