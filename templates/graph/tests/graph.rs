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

#[test]
fn nobody_sees_half_an_edge() {
    let data = tempfile::tempdir().expect("there is room");
    let service = Service::start(data.path());
    let follow = |number| {
        let path = format!("/follow/ann/p{number}");
        assert_eq!(service.send("POST", &path, &Value::Null).0, 204);
    };
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| (0..50).for_each(follow));
        for number in 0..50 {
            loop {
                let ended = follower.is_finished();
                let seen = service.get(&format!("/between/ann/p{number}")).1;
                assert_eq!(seen["follows"], seen["followed"], "p{number}");
                if seen["follows"] == true {
                    break;
                }
                assert!(!ended, "nobody follows p{number}");
            }
        }
    });
}
