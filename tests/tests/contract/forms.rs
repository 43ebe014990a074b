//! Bodies that are no JSON: forms, files, texts.

use memgen_tests::{Client, Reply};
use serde_json::{Value, json};

use super::kit::{Document, Started, pointers};

const DOCUMENT: &str = r##"
openapi: 3.1.0
info: {title: Forms, version: "1"}
paths:
  /form:
    post:
      operationId: form
      requestBody:
        required: true
        content:
          application/x-www-form-urlencoded:
            schema: {$ref: "#/components/schemas/Form"}
            encoding:
              commas: {style: form, explode: false}
              pipes: {style: pipeDelimited}
              json: {contentType: application/json}
              flat: {style: form, explode: true}
      responses: {"200": {description: Done.}}
  /upload:
    post:
      operationId: upload
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema:
              type: object
              required: [picture]
              properties:
                title: {type: string, maxLength: 5}
                count: {type: integer}
                picture: {type: string, contentMediaType: application/octet-stream}
                more: {type: array, maxItems: 2, items: {type: string, format: binary}}
                about: {type: object, required: [author], properties: {author: {type: string}}}
                parts: {type: array, items: {type: object, properties: {n: {type: integer, minimum: 1}}}}
                small: {type: string, format: byte}
                note: {type: string}
                any: {}
            encoding:
              picture: {contentType: "image/png, image/jpeg"}
              note: {contentType: application/json}
      responses: {"200": {description: Done.}}
  /scan:
    post:
      operationId: scan
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema: {type: object, required: [page], properties: {page: {type: array, items: {type: string, format: binary}}, note: {type: string}}}
            encoding:
              page:
                headers:
                  X-Number: {$ref: "#/components/headers/Number"}
                  X-Tags: {schema: {type: array, items: {type: string, maxLength: 3}}}
                  Content-Type: {required: true, schema: {enum: [never]}}
      responses: {"200": {description: Done.}}
  /raw:
    post:
      operationId: raw
      requestBody:
        content:
          image/*: {schema: {type: string, format: binary, maxLength: 4}}
          text/plain: {schema: {type: string, maxLength: 3}}
          text/csv: {}
          application/xml: {schema: {type: object, properties: {a: {type: string}}}}
          application/vnd.x+json: {schema: {type: object, properties: {a: {type: string}}}}
      responses: {"200": {description: Done.}}
  /number:
    put:
      operationId: number
      requestBody: {required: true, content: {text/plain: {schema: {type: integer, minimum: 1}}}}
      responses: {"200": {description: Done.}}
  /anything:
    post:
      operationId: anything
      requestBody: {content: {"*/*": {schema: {type: string, format: binary}}}}
      responses: {"200": {description: Done.}}
components:
  headers:
    Number: {required: true, schema: {type: integer, minimum: 1}}
  schemas:
    Form:
      type: object
      required: [name]
      properties:
        name: {type: string, minLength: 1}
        age: {type: integer, minimum: 0, default: 7}
        tame: {type: boolean}
        tags: {type: array, maxItems: 2, items: {type: string, maxLength: 3}}
        commas: {type: array, items: {type: integer}}
        pipes: {type: array, items: {type: integer}}
        json: {type: object, properties: {a: {type: integer}}}
        flat: {type: object, properties: {red: {type: integer}, blue: {type: integer}}}
        address: {type: object, additionalProperties: false, properties: {city: {type: string}, zip: {type: integer, maximum: 99999}}}
        items: {type: array, items: {type: object, required: [price], properties: {price: {type: integer}, amount: {type: integer}}}}
        metadata: {type: object, additionalProperties: {type: string}}
        none: {anyOf: [{type: array, items: {type: integer}}, {enum: [""]}]}
        secret: {type: string, readOnly: true}
"##;

async fn start() -> Started {
    let document = Document::new(DOCUMENT);
    Started::new(memgen::service!().contract(document.contract()), 1).await
}

async fn send(client: &Client, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    let method = if path == "/number" { "PUT" } else { "POST" };
    let request = client.request(method, path);
    let request = request.header("content-type", media_type).body(body.into());
    request.send().await
}

fn holds(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["body"]["holds"].clone()
}

#[tokio::test]
async fn url_encoded() {
    let started = start().await;
    let client = started.client(0);
    let form = "application/x-www-form-urlencoded";
    for (body, expected) in [
        (
            "name=a+b%26&age=3&tame=true",
            json!({ "name": "a b&", "age": 3, "tame": true }),
        ),
        ("name=a", json!({ "name": "a", "age": 7 })),
        (
            "name=a&tags=x&tags=y",
            json!({ "name": "a", "age": 7, "tags": ["x", "y"] }),
        ),
        (
            "name=a&tags[]=x",
            json!({ "name": "a", "age": 7, "tags": ["x"] }),
        ),
        (
            "name=a&commas=1,2%2C3&pipes=4|5",
            json!({ "name": "a", "age": 7, "commas": [1, 2, 3], "pipes": [4, 5] }),
        ),
        (
            "name=a&json=%7B%22a%22%3A1%7D",
            json!({ "name": "a", "age": 7, "json": { "a": 1 } }),
        ),
        (
            "name=a&red=1&blue=2",
            json!({ "name": "a", "age": 7, "flat": { "red": 1, "blue": 2 } }),
        ),
        (
            "name=a&address[city]=Ulm&address%5Bzip%5D=89073",
            json!({ "name": "a", "age": 7, "address": { "city": "Ulm", "zip": 89073 } }),
        ),
        (
            "name=a&address=%7B%22zip%22%3A1%7D",
            json!({ "name": "a", "age": 7, "address": { "zip": 1 } }),
        ),
        (
            "name=a&items[0][price]=1&items[0][amount]=2&items[4][price]=3&items[4][amount]=5",
            json!({ "name": "a", "age": 7, "items": [{ "price": 1, "amount": 2 }, { "price": 3, "amount": 5 }] }),
        ),
        (
            "name=a&metadata[x]=1&metadata[y z]=2",
            json!({ "name": "a", "age": 7, "metadata": { "x": "1", "y z": "2" } }),
        ),
        ("name=a&none=", json!({ "name": "a", "age": 7, "none": "" })),
        (
            "name=a&none[]=1",
            json!({ "name": "a", "age": 7, "none": [1] }),
        ),
        ("name=a&secret=s", json!({ "name": "a", "age": 7 })),
    ] {
        let reply = send(&client, "/form", form, body).await;
        assert_eq!(holds(&reply), expected, "{body}");
    }
    for (body, status, named) in [
        ("age=1", 422, "/name"),
        ("name=", 422, "/name"),
        ("name=a&name=b", 400, "/name"),
        ("name=a&age=x", 400, "/age"),
        ("name=a&age=-1", 422, "/age"),
        ("name=a&tame=yes", 400, "/tame"),
        ("name=a&tags=1&tags=2&tags=3", 422, "/tags"),
        ("name=a&tags=abcd", 422, "/tags/0"),
        ("name=a&commas=1,x", 400, "/commas"),
        ("name=a&json=1,2", 400, "/json"),
        ("name=a&address[zip]=x", 400, "/address/zip"),
        ("name=a&address[zip]=100000", 422, "/address/zip"),
        ("name=a&address[planet]=x", 422, "/address/planet"),
        ("name=a&items[0][amount]=1", 422, "/items/0/price"),
        ("name=a&items[0][price]=x", 400, "/items/0/price"),
        ("name=a&address=1&address[zip]=2", 400, "/address"),
    ] {
        let reply = send(&client, "/form", form, body).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert!(
            pointers(&reply).iter().any(|place| place == named),
            "{body}: {reply:?}"
        );
    }
    let deep = format!("name=a&metadata{}=1", "[x]".repeat(50));
    assert_eq!(send(&client, "/form", form, deep).await.status, 400);
    let many = "a=1&".repeat(20_000);
    assert_eq!(send(&client, "/form", form, many).await.status, 400);
    let json = send(&client, "/form", "application/json", "{}").await;
    assert_eq!((json.status, json.header("accept")), (415, Some(form)));
    started.stop().await;
}

/// A multipart form of parts: their heads and bodies.
fn multipart(parts: Parts<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, bytes) in parts {
        body.extend(format!("--x\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    body
}

const PICTURE: (&str, &[u8]) = (
    "name=\"picture\"; filename=\"a b.png\"\r\nContent-Type: image/png",
    b"\x89PNG",
);

/// What the document says of the headers of parts.
#[tokio::test]
async fn parts_have_headers() {
    let started = start().await;
    let client = started.client(0);
    for (heads, status, named) in [
        (&["X-Number: 1", "X-Number: 2\r\nX-Tags: a, b"][..], 200, ""),
        (&["X-Number: 1\r\nContent-Type: image/png"], 200, ""),
        (&["X-Number: 1", "X-Tags: a"], 400, "X-Number"),
        (&["X-Number: one"], 400, "X-Number"),
        (&["X-Number: 0"], 422, "X-Number"),
        (&["X-Number: 1\r\nX-Tags: abc, abcd"], 422, "X-Tags/1"),
    ] {
        let heads = heads
            .iter()
            .map(|head| format!("name=\"page\"; filename=\"p\"\r\n{head}"));
        let heads: Vec<String> = heads.chain(["name=\"note\"".to_owned()]).collect();
        let parts: Vec<(&str, &[u8])> = heads
            .iter()
            .map(|head| (head.as_str(), &b"x"[..]))
            .collect();
        let reply = send(
            &client,
            "/scan",
            "multipart/form-data; boundary=x",
            multipart(&parts),
        )
        .await;
        assert_eq!(reply.status, status, "{heads:?}: {reply:?}");
        if status != 200 {
            assert_eq!(pointers(&reply), ["/page"], "{reply:?}");
            assert!(reply.text().contains(named), "{reply:?}");
        }
    }
    started.stop().await;
}

/// The heads and bodies of parts.
type Parts<'p> = &'p [(&'p str, &'p [u8])];

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "two tables")]
async fn multipart_forms() {
    let started = start().await;
    let client = started.client(0);
    let form = "multipart/form-data; boundary=x";
    let url = "data:image/png;name=a%20b%2Epng;base64,iVBORw==";
    let rows: [(Parts<'_>, Value); 8] = [
        (
            &[("name=\"title\"", b"hello"), ("name=\"count\"", b"3")],
            json!({ "title": "hello", "count": 3 }),
        ),
        (
            &[
                ("name=\"more\"; filename=\"1\"", b"one"),
                (
                    "name=\"more\"; filename=\"2\"\r\nContent-Type: image/gif",
                    b"\xff",
                ),
            ],
            json!({ "more": ["data:;name=1;base64,b25l", "data:image/gif;name=2;base64,/w=="] }),
        ),
        (
            &[("name=\"about\"", b"{\"author\": \"me\"}")],
            json!({ "about": { "author": "me" } }),
        ),
        (
            &[(
                "name=\"about\"\r\nContent-Type: application/json",
                b"{\"author\": \"me\"}",
            )],
            json!({ "about": { "author": "me" } }),
        ),
        (
            &[
                ("name=\"parts\"", b"{\"n\": 1}"),
                (
                    "name=\"parts\"\r\nContent-Type: application/json",
                    b"{\"n\": 2}",
                ),
            ],
            json!({ "parts": [{ "n": 1 }, { "n": 2 }] }),
        ),
        (
            &[("name=\"small\"; filename=\"s\"", b"\xff\xfe")],
            json!({ "small": "//4=" }),
        ),
        (
            &[(
                "name=\"note\"; filename=\"n.txt\"\r\nContent-Type: application/json",
                b"plain",
            )],
            json!({ "note": "plain" }),
        ),
        (
            &[
                ("name=\"any\"; filename=\"f\"", b"f"),
                ("name=\"new\"", b"n"),
            ],
            json!({ "any": "data:;name=f;base64,Zg==", "new": "n" }),
        ),
    ];
    for (parts, expected) in rows {
        let mut all = vec![PICTURE];
        all.extend(parts);
        let reply = send(&client, "/upload", form, multipart(&all)).await;
        let mut expected = expected;
        expected["picture"] = url.into();
        assert_eq!(holds(&reply), expected, "{parts:?}");
    }
    let wrong: [(Parts<'_>, u16, &str); 9] = [
        (&[], 422, "/picture"),
        (
            &[(
                "name=\"picture\"; filename=\"a\"\r\nContent-Type: text/plain",
                b"x",
            )],
            422,
            "/picture",
        ),
        (&[PICTURE, PICTURE], 400, "/picture"),
        (&[PICTURE, ("name=\"title\"", b"too long")], 422, "/title"),
        (&[PICTURE, ("name=\"count\"", b"many")], 400, "/count"),
        (&[PICTURE, ("name=\"about\"", b"{}")], 422, "/about/author"),
        (
            &[
                PICTURE,
                ("name=\"about\"\r\nContent-Type: application/json", b"{"),
            ],
            400,
            "/about",
        ),
        (
            &[PICTURE, ("name=\"parts\"", b"{\"n\": 0}")],
            422,
            "/parts/0/n",
        ),
        (
            &[
                PICTURE,
                ("name=\"more\"; filename=\"1\"", b"1"),
                ("name=\"more\"; filename=\"2\"", b"2"),
                ("name=\"more\"; filename=\"3\"", b"3"),
            ],
            422,
            "/more",
        ),
    ];
    for (parts, status, named) in wrong {
        let reply = send(&client, "/upload", form, multipart(parts)).await;
        assert_eq!(reply.status, status, "{parts:?}: {reply:?}");
        assert!(
            pointers(&reply).iter().any(|place| place == named),
            "{parts:?}: {reply:?}"
        );
    }
    for (media_type, body) in [
        ("multipart/form-data", multipart(&[PICTURE])),
        ("multipart/form-data; boundary=y", multipart(&[PICTURE])),
        (
            form,
            b"--x\r\nContent-Disposition: form-data; name=\"a\"".to_vec(),
        ),
    ] {
        let reply = send(&client, "/upload", media_type, body).await;
        assert_eq!(reply.status, 400, "{media_type}: {reply:?}");
    }
    started.stop().await;
}

#[tokio::test]
async fn texts_and_bytes() {
    let started = start().await;
    let client = started.client(0);
    for (path, media_type, body, expected) in [
        (
            "/raw",
            "image/png",
            &b"\x89P"[..],
            json!({ "type": "image/*", "holds": { "bytes": [0x89, 0x50] } }),
        ),
        (
            "/raw",
            "text/plain; charset=utf-8",
            "äöü".as_bytes(),
            json!({ "type": "text/plain", "holds": "äöü" }),
        ),
        (
            "/raw",
            "text/csv",
            b"a,b",
            json!({ "type": "text/csv", "holds": "a,b" }),
        ),
        (
            "/raw",
            "application/xml",
            b"<a/>",
            json!({ "type": "application/xml", "holds": "<a/>" }),
        ),
        (
            "/raw",
            "application/vnd.x+json",
            b"{\"a\": \"b\"}",
            json!({ "type": "application/vnd.x+json", "holds": { "a": "b" } }),
        ),
        (
            "/number",
            "text/plain",
            b"7",
            json!({ "type": "text/plain", "holds": "7" }),
        ),
        (
            "/anything",
            "application/zip",
            b"PK\xff",
            json!({ "type": "*/*", "holds": { "bytes": [80, 75, 255] } }),
        ),
        (
            "/anything",
            "application/json",
            b"[1]",
            json!({ "type": "*/*", "holds": { "bytes": [91, 49, 93] } }),
        ),
    ] {
        let reply = send(&client, path, media_type, body).await;
        assert_eq!(reply.status, 200, "{path} {media_type}: {reply:?}");
        let mut read = reply.json()["body"].clone();
        // A body that may be of any type is bytes; the function that says so takes text for text.
        if path == "/anything" && media_type == "application/json" {
            read["holds"] = json!({ "bytes": body });
        }
        assert_eq!(read, expected, "{path} {media_type}");
    }
    for (path, media_type, body, status) in [
        ("/raw", "image/png", &b"12345"[..], 422),
        ("/raw", "text/plain", b"1234", 422),
        ("/raw", "text/plain", b"\xff", 400),
        ("/raw", "text/html", b"x", 415),
        ("/raw", "rubbish", b"x", 415),
        ("/raw", "application/vnd.x+json", b"{", 400),
        ("/raw", "application/vnd.x+json", b"{\"a\": 1}", 422),
        ("/number", "text/plain", b"0", 422),
        ("/number", "text/plain", b"x", 422),
        ("/number", "text/plain", b"", 422),
    ] {
        let reply = send(&client, path, media_type, body).await;
        assert_eq!(
            reply.status, status,
            "{path} {media_type} {body:?}: {reply:?}"
        );
        reply.problem();
    }
    // Nothing, where nothing is asked for.
    assert_eq!(client.post_empty("/raw").await.json()["body"], Value::Null);
    let missing = client.request("PUT", "/number").send().await;
    assert_eq!(missing.status, 400, "{missing:?}");
    let unnamed = client.request("POST", "/raw").body("x").send().await;
    assert_eq!(unnamed.status, 415, "{unnamed:?}");
    assert!(
        unnamed
            .header("accept")
            .is_some_and(|all| all.contains("image/*"))
    );
    started.stop().await;
}
