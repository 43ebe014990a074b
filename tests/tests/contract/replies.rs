//! Replies of functions: several statuses, media types and headers, bytes and events, and errors in the document's own form.

use memgen::contract::prelude::*;
use memgen_tests::Reply as Received;
use serde_json::json;

use super::kit::{Document, Started};

const DOCUMENT: &str = r##"
openapi: 3.1.0
info: {title: Replies, version: "1"}
paths:
  /reports/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer, format: int32}}]
    get:
      operationId: getReport
      responses:
        "200":
          description: The report.
          headers:
            X-Count: {required: true, schema: {type: integer}}
            X-Tags: {schema: {type: array, items: {type: string}}}
          content:
            application/json: {schema: {$ref: "#/components/schemas/Report"}}
            text/csv: {schema: {type: string}}
            application/octet-stream: {schema: {type: string, format: binary}}
        "202": {description: Not yet.}
        "303": {description: Elsewhere., headers: {Location: {required: true, schema: {type: string}}}}
        "404": {description: None., content: {application/json: {schema: {$ref: "#/components/schemas/Error"}}}}
        4XX: {description: Wrong., content: {application/json: {schema: {$ref: "#/components/schemas/Nested"}}}}
        default: {description: Other., content: {application/problem+json: {schema: {$ref: "#/components/schemas/Error"}}}}
  /events:
    get:
      operationId: watch
      parameters: [{name: count, in: query, required: true, schema: {type: integer, format: int32, maximum: 5}}]
      responses: {"200": {description: Events., content: {text/event-stream: {schema: {$ref: "#/components/schemas/Report"}}}}}
  /none:
    delete: {operationId: remove, responses: {"204": {description: Gone.}}}
    get: {operationId: missing, responses: {"200": {description: Never written., content: {application/json: {}}}}}
components:
  schemas:
    Report: {type: object, required: [id], properties: {id: {type: integer, format: int32}}}
    Error: {type: object, required: [code, message], properties: {code: {type: integer}, message: {type: string}}}
    Nested: {type: object, required: [error], properties: {error: {type: object, required: [type, message], properties: {type: {enum: [invalid, other]}, message: {type: string}}}}}
"##;

/// As `memgen generate` writes them.
#[operations]
trait Reports {
    #[operation("getReport")]
    async fn get_report(cx: Cx, parameters: GetReportParameters) -> Result<GetReportReply>;
    #[operation("watch")]
    async fn watch(cx: Cx, parameters: WatchParameters) -> Result<WatchReply>;
    #[operation("remove")]
    async fn remove(cx: Cx) -> Result<RemoveReply>;
    #[operation("missing")]
    async fn missing(cx: Cx) -> Result<MissingReply>;
}

#[derive(Debug, Deserialize)]
struct GetReportParameters {
    id: i32,
}

#[derive(Debug, Deserialize)]
struct WatchParameters {
    count: i32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Report {
    id: i32,
}

#[derive(Debug, Reply)]
#[reply(errors = "application/problem+json")]
enum GetReportReply {
    #[reply(200)]
    Ok {
        body: Report,
        x_count: i64,
        x_tags: Option<Vec<String>>,
    },
    #[reply(200, "text/csv")]
    OkCsv {
        body: String,
        #[header("X-Count")]
        x_count: i64,
    },
    #[reply(200, "application/octet-stream")]
    OkBytes {
        body: Bytes,
        #[header("X-Count")]
        x_count: i64,
    },
    #[reply(202)]
    Accepted,
    #[reply(303)]
    SeeOther { location: String },
    #[reply("4XX", "application/json")]
    ClientError(StatusCode, Value),
    #[reply(default)]
    Default(StatusCode, Value),
}

#[derive(Debug, Reply)]
enum WatchReply {
    #[reply(200, "text/event-stream")]
    Ok(EventStream<Report>),
}

#[derive(Debug, Reply)]
enum RemoveReply {
    #[reply(204)]
    NoContent,
}

#[derive(Debug, Reply)]
enum MissingReply {
    #[reply(200)]
    #[expect(dead_code, reason = "nobody has written the function")]
    Ok(Value),
}

struct Handlers;

impl Reports for Handlers {
    async fn get_report(cx: Cx, parameters: GetReportParameters) -> Result<GetReportReply> {
        let id = parameters.id;
        let offered = ["application/json", "text/csv", "application/octet-stream"];
        Ok(match id {
            2 => GetReportReply::Accepted,
            3 => GetReportReply::SeeOther {
                location: "/reports/1".to_owned(),
            },
            4 => return Err(NotFound::new("there is no report 4").into()),
            5 => GetReportReply::ClientError(
                StatusCode::CONFLICT,
                json!({ "error": { "type": "other", "message": "busy" } }),
            ),
            6 => return Err(Conflict::new("two want it").into()),
            7 => GetReportReply::Default(
                StatusCode::BAD_GATEWAY,
                json!({ "code": 1, "message": "elsewhere" }),
            ),
            8 => panic!("a mistake of the author"),
            _ => match cx.preferred(&offered) {
                Some("text/csv") => GetReportReply::OkCsv {
                    body: "id\n1\n".to_owned(),
                    x_count: 1,
                },
                Some("application/octet-stream") => GetReportReply::OkBytes {
                    body: Bytes::from_static(&[0, 0xff]),
                    x_count: 2,
                },
                Some(_) => GetReportReply::Ok {
                    body: Report { id },
                    x_count: i64::MAX,
                    x_tags: (id == 1).then(|| vec!["a".to_owned(), "b".to_owned()]),
                },
                None => {
                    return Err(Problem::not_acceptable("a report is JSON, CSV or bytes"));
                }
            },
        })
    }

    async fn watch(_: Cx, parameters: WatchParameters) -> Result<WatchReply> {
        let count = parameters.count;
        let reports = EventStream::unfold(0, move |id| async move {
            (id < count).then_some((Report { id }, id + 1))
        });
        Ok(WatchReply::Ok(reports))
    }

    async fn remove(_: Cx) -> Result<RemoveReply> {
        Ok(RemoveReply::NoContent)
    }
}

async fn start() -> Started {
    let document = Document::new(DOCUMENT);
    let contract = document.bare().operations(Handlers::operations());
    Started::new(memgen::service!().contract(contract), 1).await
}

fn said(reply: &Received) -> (u16, Option<&str>, &[u8]) {
    (reply.status, reply.header("content-type"), &reply.body[..])
}

#[tokio::test]
async fn each_kind_of_reply() {
    let started = start().await;
    let client = started.client(0);
    let get = |path: &'static str, accept: &'static str| {
        let request = client.request("GET", path);
        request.header("accept", accept).send()
    };
    let json = get("/reports/1", "*/*").await;
    assert_eq!(
        said(&json),
        (200, Some("application/json"), &b"{\"id\":1}"[..])
    );
    assert_eq!(json.header("x-count"), Some("9223372036854775807"));
    assert_eq!(json.header("x-tags"), Some("a,b"));
    assert_eq!(get("/reports/9", "*/*").await.header("x-tags"), None);
    let csv = get("/reports/1", "text/csv, application/json;q=0.9").await;
    assert_eq!(said(&csv), (200, Some("text/csv"), &b"id\n1\n"[..]));
    let bytes = get("/reports/1", "application/octet-stream").await;
    assert_eq!(
        said(&bytes),
        (200, Some("application/octet-stream"), &[0, 0xff][..])
    );
    assert_eq!(get("/reports/1", "image/png").await.status, 406);

    assert_eq!(said(&client.get("/reports/2").await), (202, None, &b""[..]));
    let elsewhere = client.get("/reports/3").await;
    assert_eq!(
        (elsewhere.status, elsewhere.header("location")),
        (303, Some("/reports/1"))
    );
    let own = client.get("/reports/5").await;
    assert_eq!(
        (own.status, own.json()["error"]["message"].as_str()),
        (409, Some("busy"))
    );
    assert_eq!(own.header("content-type"), Some("application/json"));
    let other = client.get("/reports/7").await;
    assert_eq!(
        said(&other),
        (
            502,
            Some("application/problem+json"),
            &br#"{"code":1,"message":"elsewhere"}"#[..]
        )
    );
    let gone = client.delete("/none").await;
    assert_eq!(said(&gone), (204, None, &b""[..]));

    let head = client.request("HEAD", "/reports/1").send().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("x-count"), Some("9223372036854775807"));
    started.stop().await;
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let started = start().await;
    let client = started.client(0);
    let events = client.get("/events?count=3").await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        events.text(),
        "data: {\"id\":0}\n\ndata: {\"id\":1}\n\ndata: {\"id\":2}\n\n"
    );
    assert_eq!(client.get("/events?count=6").await.status, 422);
    started.stop().await;
}

#[tokio::test]
async fn errors_have_the_form_of_the_document() {
    let started = start().await;
    let client = started.client(0);
    for (path, status, body) in [
        (
            "/reports/4",
            404,
            json!({ "code": 404, "message": "there is no report 4" }),
        ),
        // `4XX`, whoever says so.
        (
            "/reports/6",
            409,
            json!({ "error": { "type": "invalid", "message": "two want it" } }),
        ),
        (
            "/reports/x",
            400,
            json!({ "error": { "type": "invalid", "message": "`id` can't be read: `x` is not an integer" } }),
        ),
    ] {
        let reply = client.get(path).await;
        assert_eq!((reply.status, reply.json()), (status, body), "{path}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/json"),
            "{path}"
        );
    }
    // Without a form of its own, a problem document.
    let unwritten = client.get("/none").await;
    assert_eq!(unwritten.status, 501);
    let detail = unwritten.problem()["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(detail.contains("`missing` of `Reports`"), "{detail}");
    let fault = client.get("/reports/8").await;
    assert_eq!(fault.status, 500);
    assert!(!fault.text().contains("mistake of the author"), "{fault:?}");
    assert_eq!(client.get("/nowhere").await.problem()["status"], 404);
    let method = client.request("PATCH", "/none").send().await;
    assert_eq!(
        (method.status, method.header("allow")),
        (405, Some("DELETE, GET, HEAD"))
    );
    started.stop().await;
}
