//! Counters over HTTP.

mod kit;

use kit::Service;
use serde_json::json;

#[test]
fn what_was_counted_survives_a_crash() {
    let data = tempfile::tempdir().expect("there is room");
    let service = Service::start(data.path());
    assert_eq!(service.get("/counters/apples").0, 404);
    let (status, counter) = service.send("POST", "/counters/apples/add", &json!({ "by": 3 }));
    assert_eq!((status, &counter["count"]), (200, &json!(3)));
    service.kill();

    let service = Service::start(data.path());
    let (_, counter) = service.send("POST", "/counters/apples/add", &json!({ "by": 4 }));
    assert_eq!(counter, json!({ "name": "apples", "count": 7 }));
    let (status, problem) = service.send("POST", "/counters/apples/add", &json!({ "by": -1 }));
    assert_eq!(status, 422, "{problem}");
}
