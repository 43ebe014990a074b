//! examples/petstore: a document, and the service that comes of it.

use std::{fs, process::Command};

use memgen_tests::{
    Client, Reply, Service,
    project::{memgen, repository},
};
use serde_json::{Value, json};

fn petstore() -> Service {
    Service::new("petstore").args(&["--credentials", "staff=key"])
}

#[test]
fn the_generated_files_are_those_of_the_document() {
    let folder = repository().join("examples/petstore");
    let (code, changes, errors) = memgen(
        &folder,
        &[
            "generate",
            "openapi.yaml",
            "--out",
            ".",
            "--name",
            "petstore",
            "--check",
        ],
    );
    assert_eq!(code, 0, "{changes}{errors}");
}

/// What the service publishes is the document that it came from, in one piece.
#[tokio::test]
async fn the_document_comes_back() {
    let running = petstore().start().await;
    let published = running.client().get("/openapi.json").await.json();
    let source = repository().join("examples/petstore/openapi.yaml");
    let mut diagnostics = memgen_cli::diagnostic::Diagnostics::default();
    let (_, spec) = memgen_cli::spec::read(&source, &mut diagnostics);
    let document = spec.expect("it can be read").document;
    assert_eq!(published["components"], document["components"]);
    assert_eq!(published["info"], document["info"]);
    let (paths, expected) = (&published["paths"], &document["paths"]);
    let names = |value: &Value| -> Vec<String> {
        let object = value.as_object().expect("it is an object");
        object.keys().cloned().collect()
    };
    assert_eq!(names(paths), names(expected));
    for path in names(paths) {
        assert_eq!(names(&paths[&path]), names(&expected[&path]), "{path}");
        for method in names(&paths[&path]) {
            let (one, other) = (&paths[&path][&method], &expected[&path][&method]);
            for part in [
                "parameters",
                "requestBody",
                "responses",
                "operationId",
                "security",
                "tags",
            ] {
                assert_eq!(one[part], other[part], "{method} {path}: {part}");
            }
            assert!(one["x-memgen"].is_null(), "decisions are not for clients");
        }
    }
}

async fn post(client: &Client, path: &str, body: &Value) -> Reply {
    client.request("POST", path).json(body).send().await
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story")]
async fn what_was_acknowledged_survives_a_crash() {
    let service = petstore();
    let mut running = service.start().await;
    let client = running.client();
    let created = post(
        &client,
        "/pets",
        &json!({ "name": "Rex", "species": "dog", "price": 9.5 }),
    )
    .await;
    assert_eq!(created.status, 201);
    let pet = created.json();
    assert_eq!(pet["status"], "available", "the default of the document");
    assert!(pet["createdAt"].is_string());
    let path = format!("/pets/{}", pet["id"]);
    assert_eq!(created.header("location"), Some(path.as_str()));
    let tag = client.get(&path).await.etag().to_owned();
    let changed = client
        .request("PATCH", &path)
        .header("If-Match", &tag)
        .header("Content-Type", "application/merge-patch+json")
        .body(r#"{"price": 7, "tags": ["old"]}"#)
        .send()
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let late = client
        .request("PUT", &path)
        .header("If-Match", &tag)
        .json(&json!({ "name": "Max", "species": "cat" }))
        .send()
        .await;
    assert_eq!(late.status, 412);
    for name in ["ann", "bob"] {
        assert_eq!(
            post(
                &client,
                "/owners",
                &json!({ "username": name, "name": name })
            )
            .await
            .status,
            201
        );
    }
    assert_eq!(
        post(
            &client,
            "/owners",
            &json!({ "username": "ann", "name": "Other" })
        )
        .await
        .status,
        409
    );
    let visit = json!({ "pet": pet["id"], "at": "2026-11-24T10:00:00Z" });
    let kept = post(&client, "/owners/ann/visits", &visit).await;
    assert_eq!(kept.status, 201);
    assert_eq!(
        post(&client, "/owners/eve/visits", &visit).await.status,
        404,
        "a visit has an owner"
    );
    let product = json!({ "sku": "ball", "name": "Ball", "price": "3.10", "stock": 5 });
    assert!(client.put("/products/ball", &product).await.status < 300);
    let order = post(
        &client,
        "/orders",
        &json!({ "customer": "ann", "sku": "ball", "quantity": 2 }),
    )
    .await;
    assert_eq!(
        (order.status, &order.json()["total"]),
        (201, &json!("6.20"))
    );
    let order = format!(
        "/orders/{}",
        order.json()["id"].as_str().expect("it has an id")
    );

    running.kill_9();
    let running = service.start().await;
    let client = running.client();
    let again = client.get(&path).await.json();
    assert_eq!(
        (&again["price"], &again["tags"], &again["name"]),
        (&json!(7.0), &json!(["old"]), &json!("Rex"))
    );
    assert_eq!(again["createdAt"], pet["createdAt"]);
    let visits = client.get("/owners/ann/visits").await.json();
    assert_eq!(visits["items"], json!([kept.json()]));
    assert_eq!(
        client.get("/owners/bob/visits").await.json()["items"],
        json!([])
    );
    assert_eq!(client.get("/products/ball").await.json()["stock"], 3);
    let cancelled = client.post_empty(&format!("{order}/cancel")).await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["status"]),
        (200, &json!("cancelled"))
    );
    client.post_empty(&format!("{order}/cancel")).await;
    assert_eq!(
        client.get("/products/ball").await.json()["stock"],
        5,
        "it goes back once"
    );
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(client.get(&path).await.status, 404);
}

/// What may be left out and may be null stays what it was, also after a replay.
#[tokio::test]
async fn null_and_nothing_are_two_things() {
    let service = petstore();
    let mut running = service.start().await;
    let client = running.client();
    let mut paths = Vec::new();
    for notes in [None, Some(Value::Null), Some("shy".into())] {
        let mut pet = json!({ "name": "Ann", "species": "cat" });
        if let Some(notes) = &notes {
            pet["notes"] = notes.clone();
        }
        let created = post(&client, "/pets", &pet).await;
        assert_eq!(created.json().get("notes"), notes.as_ref(), "{created:?}");
        paths.push((format!("/pets/{}", created.json()["id"]), notes));
    }
    running.kill_9();
    let running = service.start().await;
    for (path, notes) in paths {
        let read = running.client().get(&path).await;
        assert_eq!(read.status, 200, "{read:?}");
        assert_eq!(read.json().get("notes"), notes.as_ref(), "{read:?}");
    }
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let running = petstore().start().await;
    let client = running.client();
    for number in 0..25 {
        let species = if number % 5 == 0 { "cat" } else { "dog" };
        let pet = json!({ "name": format!("pet {number}"), "species": species });
        assert_eq!(post(&client, "/pets", &pet).await.status, 201);
    }
    let (mut seen, mut path) = (Vec::new(), "/pets?limit=7".to_owned());
    loop {
        let page = client.get(&path).await.json();
        let items = page["items"].as_array().expect("it is a list").clone();
        assert!(items.len() <= 7);
        seen.extend(items.into_iter().map(|pet| pet["id"].clone()));
        match page["next"].as_str() {
            Some(next) => path = format!("/pets?limit=7&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    seen.sort_by_key(Value::as_i64);
    seen.dedup();
    assert_eq!(seen.len(), 25, "each of them once");
    let cats = client.get("/pets?species=cat").await.json();
    assert_eq!(cats["items"].as_array().map(Vec::len), Some(5));
    let found = client.get("/pets/search?q=PET&limit=3").await;
    assert_eq!(
        (
            found.header("x-total-count"),
            found.json().as_array().map(Vec::len)
        ),
        (Some("25"), Some(3))
    );
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn mistakes_name_the_field() {
    let running = petstore().start().await;
    let client = running.client();
    let rows = [
        ("POST", "/pets", json!({ "species": "dog" }), 422, "/name"),
        (
            "POST",
            "/pets",
            json!({ "name": "", "species": "dog" }),
            422,
            "/name",
        ),
        (
            "POST",
            "/pets",
            json!({ "name": "x", "species": "dragon" }),
            422,
            "/species",
        ),
        (
            "POST",
            "/pets",
            json!({ "name": "x", "species": "dog", "price": 0.001 }),
            422,
            "/price",
        ),
        (
            "POST",
            "/pets",
            json!({ "name": "x", "species": "dog", "born": "soon" }),
            422,
            "/born",
        ),
        (
            "POST",
            "/pets",
            json!({ "name": "x", "species": "dog", "home": { "kind": "tank" } }),
            422,
            "/home/litres",
        ),
        (
            "POST",
            "/owners",
            json!({ "username": "A!", "name": "x" }),
            422,
            "/username",
        ),
        (
            "POST",
            "/owners",
            json!({ "username": "a", "name": "x", "address": { "street": "s", "city": "c", "planet": "p" } }),
            422,
            "/address/planet",
        ),
        ("GET", "/pets?limit=0", Value::Null, 422, "limit"),
        ("GET", "/pets?limit=many", Value::Null, 400, "limit"),
        ("GET", "/pets/none", Value::Null, 400, "petId"),
        ("GET", "/pets/search", Value::Null, 400, "q"),
        (
            "GET",
            "/pets/search?q=a&price[min]=-1",
            Value::Null,
            422,
            "price/min",
        ),
    ];
    for (method, path, body, status, pointer) in rows {
        let request = client.request(method, path);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let reply = request.send().await;
        assert_eq!(
            reply.status,
            status,
            "{method} {path} {body}: {}",
            reply.text()
        );
        let errors = reply.problem()["errors"].clone();
        let named = errors
            .as_array()
            .into_iter()
            .flatten()
            .any(|error| error["pointer"] == pointer);
        assert!(named, "{method} {path} {body}: {errors}");
    }
    let xml = client
        .request("POST", "/pets")
        .header("Content-Type", "application/xml")
        .body("<pet/>")
        .send()
        .await;
    assert_eq!(
        (xml.status, xml.header("accept")),
        (415, Some("application/json"))
    );
    let other = client.request("PUT", "/pets").send().await;
    assert_eq!(
        (other.status, other.header("allow")),
        (405, Some("GET, POST, HEAD"))
    );
    assert_eq!(client.get("/petz").await.status, 404);
}

#[tokio::test]
async fn photos_and_the_key_of_the_staff() {
    let running = petstore().start().await;
    let client = running.client();
    let pet = post(
        &client,
        "/pets",
        &json!({ "name": "Rex", "species": "dog" }),
    )
    .await
    .json()["id"]
        .clone();
    let form = |media_type: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"caption\"\r\n\r\nat home\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: {media_type}\r\n\r\n\u{1}PNG\r\n--x--\r\n"
        )
    };
    let upload = |media_type: &str| {
        let request = client.request("POST", &format!("/pets/{pet}/photos"));
        request
            .header("Content-Type", "multipart/form-data; boundary=x")
            .body(form(media_type))
    };
    let kept = upload("image/png").send().await;
    assert_eq!(kept.status, 201, "{kept:?}");
    let photo = kept.json();
    assert_eq!(
        (&photo["size"], &photo["caption"]),
        (&json!(4), &json!("at home"))
    );
    let picture = client
        .get(photo["url"].as_str().expect("it has a place"))
        .await;
    assert_eq!(
        (picture.header("content-type"), &picture.body[..]),
        (Some("image/png"), &b"\x01PNG"[..])
    );
    assert_eq!(upload("text/plain").send().await.status, 422);

    let product = json!({ "sku": "ball", "name": "Ball", "price": "3.10", "stock": 5 });
    client.put("/products/ball", &product).await;
    let closed = client.delete("/products/ball").await;
    assert_eq!(
        (closed.status, closed.header("www-authenticate")),
        (401, Some("ApiKey realm=\"staff\""))
    );
    let wrong = client
        .request("DELETE", "/products/ball")
        .header("X-Staff-Key", "kez")
        .send()
        .await;
    assert_eq!(wrong.status, 401);
    let right = client
        .request("DELETE", "/products/ball")
        .header("X-Staff-Key", "key")
        .send()
        .await;
    assert_eq!(right.status, 204);
    // Nobody has said what opens it.
    let running = Service::new("petstore").start().await;
    let closed = running
        .client()
        .request("DELETE", "/products/ball")
        .header("X-Staff-Key", "key")
        .send()
        .await;
    assert_eq!(closed.status, 401);
    assert!(
        closed.text().contains("--credentials staff=SECRET"),
        "{}",
        closed.text()
    );
}

/// All checks, but one of them not everywhere: visits stay when their owner is deleted, and a collection in which nothing is has an empty page.
const SCHEMATHESIS: &str = r#"
[[operations]]
include-path-regex = "^/owners/[^/]+/visits"
checks.use_after_free.enabled = false
"#;

/// A tester that makes requests of the document: nothing may answer 5xx, or otherwise than the document says.
#[tokio::test]
async fn schemathesis_finds_nothing() {
    let tools = repository().join("target/schemathesis");
    fs::create_dir_all(&tools).expect("there is room");
    let python = tools.join("bin/python");
    let run = |program: &std::path::Path, args: &[&str]| {
        // The tester leaves files in the folder where it runs.
        let output = Command::new(program)
            .args(args)
            .current_dir(&tools)
            .output();
        output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    };
    if !tools.join("bin/schemathesis").exists() {
        let made = run(
            "python3".as_ref(),
            &["-m", "venv", &tools.display().to_string()],
        );
        assert!(made.status.success(), "{made:?}");
        let installed = run(
            &python,
            &["-m", "pip", "install", "--quiet", "schemathesis==4.32.5"],
        );
        assert!(installed.status.success(), "{installed:?}");
    }
    fs::write(tools.join("schemathesis.toml"), SCHEMATHESIS).expect("there is room");
    let running = petstore().start().await;
    let report = running.client().base().to_owned();
    let output = run(
        &tools.join("bin/schemathesis"),
        &[
            "run",
            &format!("{report}/openapi.json"),
            "--url",
            &report,
            "--header",
            "X-Staff-Key: key",
            "--max-examples",
            "40",
            "--seed",
            "7",
            // With more of them its threads trip over one another.
            "--workers",
            "1",
            // A cursor that no page had, a key that is not that of the path: a schema can't say so.
            "--exclude-checks",
            "positive_data_acceptance",
            "--no-color",
        ],
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    fs::write(repository().join("target/schemathesis.txt"), &text).expect("there is room");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Configuration:"), "{text}");
}
