//! Parameters in each place and each style, as clients write them.

use memgen_tests::{Client, Reply};
use serde_json::{Value, json};

use super::kit::{Document, Started, pointers};

const DOCUMENT: &str = r##"
openapi: 3.0.3
info: {title: Parameters, version: "1"}
paths:
  /path/simple/{list}/{object}/{exploded}:
    get:
      operationId: pathSimple
      parameters:
        - {name: list, in: path, required: true, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: object, in: path, required: true, schema: {$ref: "#/components/schemas/Rgb"}}
        - {name: exploded, in: path, required: true, explode: true, schema: {$ref: "#/components/schemas/Rgb"}}
      responses: {"200": {description: Done.}}
  /path/label/{one}/{list}/{exploded}:
    get:
      operationId: pathLabel
      parameters:
        - {name: one, in: path, required: true, style: label, schema: {type: integer}}
        - {name: list, in: path, required: true, style: label, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: exploded, in: path, required: true, style: label, explode: true, schema: {$ref: "#/components/schemas/Numbers"}}
      responses: {"200": {description: Done.}}
  /path/matrix/{one}/{list}/{exploded}/{object}:
    get:
      operationId: pathMatrix
      parameters:
        - {name: one, in: path, required: true, style: matrix, schema: {type: boolean}}
        - {name: list, in: path, required: true, style: matrix, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: exploded, in: path, required: true, style: matrix, explode: true, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: object, in: path, required: true, style: matrix, explode: true, schema: {$ref: "#/components/schemas/Rgb"}}
      responses: {"200": {description: Done.}}
  /files/{name}.{ext}:
    get:
      operationId: file
      parameters:
        - {name: name, in: path, required: true, schema: {type: string}}
        - {name: ext, in: path, required: true, schema: {type: string, enum: [txt, json]}}
      responses: {"200": {description: Done.}}
  /query:
    parameters:
      - {name: shared, in: query, schema: {type: string}}
      - {name: overridden, in: query, schema: {type: integer}}
    get:
      operationId: query
      parameters:
        - {name: overridden, in: query, schema: {type: boolean}}
        - {name: text, in: query, schema: {type: string, minLength: 1, maxLength: 3}}
        - {name: empty, in: query, allowEmptyValue: true, schema: {type: string}}
        - {name: number, in: query, schema: {type: number, default: 1.5}}
        - {name: date, in: query, schema: {type: string, format: date}}
        - {name: list, in: query, schema: {type: array, maxItems: 3, uniqueItems: true, items: {type: integer}}}
        - {name: commas, in: query, explode: false, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: spaces, in: query, style: spaceDelimited, explode: false, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: pipes, in: query, style: pipeDelimited, explode: false, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: deep, in: query, style: deepObject, explode: true, schema: {type: object, properties: {
            min: {type: integer}, max: {type: integer, maximum: 9}, in: {type: object, properties: {a: {type: boolean}}}, tags: {type: array, items: {type: string}}}}}
        - {name: flat, in: query, explode: false, schema: {$ref: "#/components/schemas/Rgb"}}
        - {name: exploded, in: query, schema: {$ref: "#/components/schemas/Rgb"}}
        - {name: json, in: query, content: {application/json: {schema: {type: object, required: [a], properties: {a: {type: integer}}}}}}
        - {name: plain, in: query, content: {text/plain: {schema: {type: string, maxLength: 5}}}}
        - {name: reserved, in: query, allowReserved: true, schema: {type: string}}
        - {name: either, in: query, schema: {oneOf: [{type: integer}, {type: boolean}]}}
      responses: {"200": {description: Done.}}
  /required:
    get:
      operationId: required
      parameters:
        - {name: q, in: query, required: true, schema: {type: string}}
        - {name: X-Tenant, in: header, required: true, schema: {type: string, format: uuid}}
        - {name: session, in: cookie, required: true, schema: {type: string}}
      responses: {"200": {description: Done.}}
  /headers:
    get:
      operationId: headers
      parameters:
        - {name: X-One, in: header, schema: {type: integer, minimum: 1}}
        - {name: X-List, in: header, schema: {$ref: "#/components/schemas/Numbers"}}
        - {name: X-Object, in: header, schema: {$ref: "#/components/schemas/Rgb"}}
        - {name: X-Exploded, in: header, explode: true, schema: {$ref: "#/components/schemas/Rgb"}}
        - {name: X-Json, in: header, content: {application/json: {schema: {type: object}}}}
        - {name: one, in: cookie, schema: {type: integer}}
        - {name: list, in: cookie, explode: false, schema: {$ref: "#/components/schemas/Numbers"}}
      responses: {"200": {description: Done.}}
components:
  schemas:
    Numbers: {type: array, items: {type: integer, minimum: 0}}
    Rgb: {type: object, properties: {R: {type: integer}, G: {type: integer, maximum: 255}, B: {type: integer}}}
"##;

async fn start() -> Started {
    let document = Document::new(DOCUMENT);
    Started::new(memgen::service!().contract(document.contract()), 1).await
}

/// What the parameters of a request were read as.
fn read(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["parameters"].clone()
}

#[tokio::test]
async fn paths() {
    let started = start().await;
    let client = started.client(0);
    for (path, expected) in [
        (
            "/path/simple/1,2/R,1,G,2/R=3,B=4",
            json!({ "list": [1, 2], "object": { "R": 1, "G": 2 }, "exploded": { "R": 3, "B": 4 } }),
        ),
        (
            "/path/simple/1%2C2/R%2C1/R%3D3",
            json!({ "list": [1, 2], "object": { "R": 1 }, "exploded": { "R": 3 } }),
        ),
        (
            "/path/label/.7/.1,2/.3.4",
            json!({ "one": 7, "list": [1, 2], "exploded": [3, 4] }),
        ),
        (
            "/path/matrix/;one=true/;list=1,2/;exploded=3;exploded=4/;R=5;G=6",
            json!({ "one": true, "list": [1, 2], "exploded": [3, 4], "object": { "R": 5, "G": 6 } }),
        ),
        ("/files/a%20b.txt", json!({ "name": "a b", "ext": "txt" })),
        (
            "/files/%C3%A4%2F.json",
            json!({ "name": "ä/", "ext": "json" }),
        ),
    ] {
        assert_eq!(read(&client.get(path).await), expected, "{path}");
    }
    for (path, status, named) in [
        ("/path/simple/1,x/R,1/R=1", 400, "list"),
        ("/path/simple/-1/R,1/R=1", 422, "list/0"),
        ("/path/simple/1/R/R=1", 400, "object"),
        ("/path/simple/1/G,256/R=1", 422, "object/G"),
        ("/path/label/7/.1/.1", 400, "one"),
        ("/path/matrix/;one=1/;list=1/;exploded=1/;R=1", 400, "one"),
        (
            "/path/matrix/;one=true/;list=1/;other=1/;R=1",
            400,
            "exploded",
        ),
        ("/files/a.xml", 422, "ext"),
        ("/files/%00.txt", 400, "name"),
        ("/files/%FF.txt", 400, "name"),
    ] {
        refused(&client, path, &[], status, named).await;
    }
    started.stop().await;
}

async fn refused(client: &Client, path: &str, headers: &[(&str, &str)], status: u16, named: &str) {
    let request = client.request("GET", path);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let reply = request.send().await;
    assert_eq!(reply.status, status, "{path} {headers:?}: {reply:?}");
    let places = pointers(&reply);
    assert!(
        places.iter().any(|place| place == named),
        "{path} {headers:?}: {places:?}"
    );
}

#[tokio::test]
async fn queries() {
    let started = start().await;
    let client = started.client(0);
    for (query, expected) in [
        ("", json!({})),
        (
            "shared=a&overridden=true&new=x",
            json!({ "shared": "a", "overridden": true }),
        ),
        ("text=%C3%A4+b", json!({ "text": "ä b" })),
        ("empty=", json!({ "empty": "" })),
        ("empty", json!({ "empty": "" })),
        ("number=-2e3", json!({ "number": -2000.0 })),
        ("date=2024-02-29", json!({ "date": "2024-02-29" })),
        ("list=1&list=2", json!({ "list": [1, 2] })),
        ("list[]=1&list[]=2", json!({ "list": [1, 2] })),
        ("commas=1,2,3", json!({ "commas": [1, 2, 3] })),
        ("commas=1%2C2", json!({ "commas": [1, 2] })),
        ("commas=", json!({ "commas": [] })),
        ("spaces=1%202+3", json!({ "spaces": [1, 2, 3] })),
        ("pipes=1|2%7C3", json!({ "pipes": [1, 2, 3] })),
        (
            "deep[min]=1&deep[in][a]=true&deep[tags][]=x&deep[tags][]=y",
            json!({ "deep": { "min": 1, "in": { "a": true }, "tags": ["x", "y"] } }),
        ),
        ("deep%5Bmax%5D=9", json!({ "deep": { "max": 9 } })),
        ("flat=R,1,G,2", json!({ "flat": { "R": 1, "G": 2 } })),
        ("R=1&B=2", json!({ "exploded": { "R": 1, "B": 2 } })),
        ("json=%7B%22a%22:1%7D", json!({ "json": { "a": 1 } })),
        ("plain=%7B1,2", json!({ "plain": "{1,2" })),
        ("reserved=a:/?@b", json!({ "reserved": "a:/?@b" })),
        ("either=7", json!({ "either": 7 })),
        ("either=true", json!({ "either": true })),
    ] {
        let mut expected = expected;
        if expected.get("number").is_none() {
            expected["number"] = json!(1.5);
        }
        let reply = client.get(&format!("/query?{query}")).await;
        assert_eq!(read(&reply), expected, "{query}");
    }
    for (query, status, named) in [
        ("overridden=7", 400, "overridden"),
        ("text=", 422, "text"),
        ("text=abcd", 422, "text"),
        ("text=a&text=b", 400, "text"),
        ("number=NaN", 400, "number"),
        ("number=0x1", 400, "number"),
        ("date=2023-02-29", 422, "date"),
        ("list=1&list=1", 422, "list"),
        ("list=1&list=2&list=3&list=4", 422, "list"),
        ("list=1,2", 400, "list"),
        ("commas=1,,2", 400, "commas"),
        ("deep[max]=10", 422, "deep/max"),
        ("deep[max]=x", 400, "deep"),
        ("deep[max=1", 400, "deep"),
        ("deep[in]=1&deep[in][a]=true", 400, "deep"),
        ("flat=R", 400, "flat"),
        ("R=x", 400, "exploded"),
        ("json={", 400, "json"),
        ("json=%7B%7D", 422, "json/a"),
        ("plain=abcdef", 422, "plain"),
        ("either=x", 400, "either"),
    ] {
        let query = query.replace('{', "%7B");
        refused(&client, &format!("/query?{query}"), &[], status, named).await;
    }
    // All that is wrong is said at once.
    let reply = client.get("/query?date=x&text=abcd").await;
    assert_eq!(pointers(&reply), ["text", "date"], "{reply:?}");
    started.stop().await;
}

#[tokio::test]
async fn headers_and_cookies() {
    let started = start().await;
    let client = started.client(0);
    let send = |headers: &[(&str, &str)]| {
        let request = client.request("GET", "/headers");
        headers
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(name, value)
            })
            .send()
    };
    for (headers, expected) in [
        (vec![("x-one", "7")], json!({ "X-One": 7 })),
        (vec![("X-List", "1, 2,3")], json!({ "X-List": [1, 2, 3] })),
        (
            vec![("X-Object", "R,1,G,2")],
            json!({ "X-Object": { "R": 1, "G": 2 } }),
        ),
        (
            vec![("X-Exploded", "R=1,G=2")],
            json!({ "X-Exploded": { "R": 1, "G": 2 } }),
        ),
        (
            vec![("X-Json", "{\"a\": [1]}")],
            json!({ "X-Json": { "a": [1] } }),
        ),
        (
            vec![("Cookie", "a=b; one=7; list=1,2")],
            json!({ "one": 7, "list": [1, 2] }),
        ),
        (vec![("Cookie", "list=%31%2C2")], json!({ "list": [1, 2] })),
    ] {
        assert_eq!(read(&send(&headers).await), expected, "{headers:?}");
    }
    for (headers, status, named) in [
        (vec![("x-one", "0")], 422, "X-One"),
        (vec![("x-one", "one")], 400, "X-One"),
        (vec![("X-List", "1;2")], 400, "X-List"),
        (vec![("X-Object", "R,1,G,256")], 422, "X-Object/G"),
        (vec![("X-Json", "[]")], 422, "X-Json"),
        (vec![("Cookie", "one=x")], 400, "one"),
    ] {
        refused(&client, "/headers", &headers, status, named).await;
    }
    let tenant = "0192f0c1-2b7e-7cc0-98f5-1c4e7a9b0d11";
    let all = [("x-tenant", tenant), ("cookie", "session=s")];
    refused(&client, "/required", &all, 400, "q").await;
    refused(&client, "/required?q=a", &all[..1], 400, "session").await;
    refused(&client, "/required?q=a", &all[1..], 400, "X-Tenant").await;
    let wrong = [("x-tenant", "me"), all[1]];
    refused(&client, "/required?q=a", &wrong, 422, "X-Tenant").await;
    let request = client.request("GET", "/required?q=");
    let right = request
        .header("x-tenant", tenant)
        .header("cookie", "session=s");
    assert_eq!(
        read(&right.send().await),
        json!({ "q": "", "X-Tenant": tenant, "session": "s" })
    );
    started.stop().await;
}
