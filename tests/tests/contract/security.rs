//! Who may: schemes of each kind, in each combination, closed until somebody has said what opens them.

use memgen::{
    contract::{Attempt, Credentials, Principal},
    problem::Problem,
};
use memgen_tests::{Client, Reply};
use serde_json::{Value, json};

use super::kit::{Document, Started};

const DOCUMENT: &str = r#"
openapi: 3.0.3
info: {title: Security, version: "1"}
security: [{bearer: []}]
paths:
  /usual: {get: {operationId: usual, responses: {"200": {description: Done.}}}}
  /open: {get: {operationId: open, security: [], responses: {"200": {description: Done.}}}}
  /header: {get: {operationId: header, security: [{header: []}], responses: {"200": {description: Done.}}}}
  /query: {get: {operationId: query, security: [{query: []}], responses: {"200": {description: Done.}}}}
  /cookie: {get: {operationId: cookie, security: [{cookie: []}], responses: {"200": {description: Done.}}}}
  /basic: {get: {operationId: basic, security: [{basic: []}], responses: {"200": {description: Done.}}}}
  /oauth: {get: {operationId: oauth, security: [{oauth: [read, write]}], responses: {"200": {description: Done.}}}}
  /openid: {get: {operationId: openid, security: [{openid: [profile]}], responses: {"200": {description: Done.}}}}
  /digest: {get: {operationId: digest, security: [{digest: []}], responses: {"200": {description: Done.}}}}
  /both: {get: {operationId: both, security: [{header: [], basic: []}], responses: {"200": {description: Done.}}}}
  /either: {get: {operationId: either, security: [{header: []}, {oauth: [read]}], responses: {"200": {description: Done.}}}}
  /optional: {get: {operationId: optional, security: [{}, {header: []}], responses: {"200": {description: Done.}}}}
  /post:
    post:
      operationId: post
      security: [{header: []}]
      requestBody: {required: true, content: {application/json: {schema: {type: object}}}}
      responses: {"200": {description: Done.}}
components:
  securitySchemes:
    header: {type: apiKey, in: header, name: X-Key}
    query: {type: apiKey, in: query, name: api_key}
    cookie: {type: apiKey, in: cookie, name: session}
    basic: {type: http, scheme: Basic}
    bearer: {type: http, scheme: bearer}
    digest: {type: http, scheme: digest}
    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://example.com/token", scopes: {read: "", write: ""}}}}
    openid: {type: openIdConnect, openIdConnectUrl: "https://example.com/.well-known"}
"#;

const ALL: [&str; 12] = [
    "usual", "header", "query", "cookie", "basic", "oauth", "openid", "digest", "both", "either",
    "optional", "open",
];

async fn send(client: &Client, target: &str, headers: &[(&str, &str)]) -> Reply {
    let request = client.request("GET", &format!("/{target}"));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    request.send().await
}

#[tokio::test]
async fn closed_until_it_is_configured() {
    let document = Document::new(DOCUMENT);
    let started = Started::new(memgen::service!().contract(document.contract()), 1).await;
    let client = started.client(0);
    for name in ALL {
        let reply = send(&client, name, &[]).await;
        let open = matches!(name, "open" | "optional");
        assert_eq!(
            reply.status,
            if open { 200 } else { 401 },
            "{name}: {reply:?}"
        );
        if !open {
            assert!(
                reply.header("www-authenticate").is_some(),
                "{name}: {reply:?}"
            );
            assert!(
                reply.problem()["detail"]
                    .as_str()
                    .is_some_and(|text| text.contains("asks for"))
            );
        }
    }
    // Also to those who show something, and who are told what to do about it.
    for (target, headers) in [
        ("header", vec![("x-key", "k")]),
        ("query?api_key=k", vec![]),
        ("basic", vec![("authorization", "Basic YTpi")]),
        ("usual", vec![("authorization", "Bearer t")]),
    ] {
        let reply = send(&client, target, &headers).await;
        assert_eq!(reply.status, 401, "{target}: {reply:?}");
        assert!(
            reply.text().contains("--credentials"),
            "{target}: {reply:?}"
        );
    }
    started.stop().await;
}

fn credentials() -> Vec<(String, String)> {
    let all = [
        ("header", "h1"),
        ("header", "h2"),
        ("query", "q"),
        ("cookie", "c"),
        ("basic", "ann:secret:with colons"),
        ("bearer", "b"),
        ("digest", "d"),
        ("oauth", "o"),
        ("openid", "i"),
    ];
    let owned = |(name, secret): (&str, &str)| (name.to_owned(), secret.to_owned());
    all.into_iter().map(owned).collect()
}

#[tokio::test]
async fn opened_by_settings() {
    let document = Document::new(DOCUMENT);
    let service = memgen::service!().contract(document.contract());
    let started = Started::with(service, |config| config.credentials = credentials()).await;
    let client = started.client(0);
    let basic = "Basic YW5uOnNlY3JldDp3aXRoIGNvbG9ucw==";
    let who = |name: &str, scopes: &[&str]| json!({ "name": name, "scopes": scopes });
    for (target, headers, principal) in [
        (
            "usual",
            vec![("authorization", "Bearer b")],
            who("bearer", &[]),
        ),
        (
            "usual",
            vec![("authorization", "bEaReR  b")],
            who("bearer", &[]),
        ),
        ("open", vec![], Value::Null),
        ("header", vec![("X-KEY", "h1")], who("header", &[])),
        ("header", vec![("x-key", "h2")], who("header", &[])),
        ("query?a=b&api_key=%71", vec![], who("query", &[])),
        (
            "cookie",
            vec![("cookie", "a=b; session=c")],
            who("cookie", &[]),
        ),
        ("basic", vec![("authorization", basic)], who("ann", &[])),
        (
            "digest",
            vec![("authorization", "Digest d")],
            who("digest", &[]),
        ),
        (
            "oauth",
            vec![("authorization", "Bearer o")],
            who("oauth", &["read", "write"]),
        ),
        (
            "openid",
            vec![("authorization", "Bearer i")],
            who("openid", &["profile"]),
        ),
        ("either", vec![("x-key", "h1")], who("header", &[])),
        (
            "either",
            vec![("authorization", "Bearer o")],
            who("oauth", &["read"]),
        ),
        (
            "either",
            vec![("x-key", "wrong"), ("authorization", "Bearer o")],
            who("oauth", &["read"]),
        ),
        ("optional", vec![], Value::Null),
        ("optional", vec![("x-key", "h1")], who("header", &[])),
    ] {
        let reply = send(&client, target, &headers).await;
        assert_eq!(reply.status, 200, "{target} {headers:?}: {reply:?}");
        assert_eq!(reply.json()["principal"], principal, "{target} {headers:?}");
    }
    let both = send(
        &client,
        "both",
        &[("x-key", "h1"), ("authorization", basic)],
    )
    .await;
    assert_eq!(both.status, 200, "{both:?}");
    for (target, headers) in [
        ("usual", vec![]),
        ("usual", vec![("authorization", "Bearer o")]),
        ("usual", vec![("authorization", "Basic b")]),
        ("usual", vec![("authorization", "Bearer")]),
        ("header", vec![("x-key", "h")]),
        ("header", vec![("x-key", "")]),
        ("header", vec![("x-other", "h1")]),
        ("query?api_key=", vec![]),
        ("query", vec![("api_key", "q")]),
        ("cookie", vec![("cookie", "session=d")]),
        ("basic", vec![("authorization", "Basic YW5uOg==")]),
        ("basic", vec![("authorization", "Basic !")]),
        ("both", vec![("x-key", "h1")]),
        ("both", vec![("authorization", basic)]),
        (
            "both",
            vec![("x-key", "h1"), ("authorization", "Basic YTpi")],
        ),
        ("either", vec![("x-key", "wrong")]),
    ] {
        let reply = send(&client, target, &headers).await;
        assert_eq!(reply.status, 401, "{target} {headers:?}: {reply:?}");
        assert!(!reply.text().contains("secret"), "{reply:?}");
        assert!(reply.header("www-authenticate").is_some(), "{reply:?}");
    }
    // Who may not ask is not told what is wrong with the question.
    let reply = client.post("/post", &json!([])).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    started.stop().await;
}

#[tokio::test]
async fn opened_by_a_function() {
    async fn authenticate(attempt: Attempt) -> memgen::Result<Principal> {
        let shown = format!("{attempt:?}");
        assert!(
            !shown.contains("hush"),
            "secrets are not written anywhere: {shown}"
        );
        match (attempt.scheme.as_str(), &attempt.credentials) {
            ("oauth", Credentials::Bearer(token)) => match token.as_str() {
                "reader" => Ok(Principal::new("reader").with_scope("read")),
                "writer" => Ok(Principal::new("writer")
                    .with_scope("read")
                    .with_scope("write")),
                "banned" => Err(Problem::forbidden("you know why")),
                _ => Err(Problem::unauthorized("hush is not known here")),
            },
            ("basic", Credentials::Basic { user, password }) if user == password => {
                Ok(Principal::new(user))
            }
            _ => attempt.configured(),
        }
    }
    let document = Document::new(DOCUMENT);
    let contract = document.contract().authenticate(authenticate);
    let service = memgen::service!().contract(contract);
    let started = Started::with(service, |config| config.credentials = credentials()).await;
    let client = started.client(0);
    for (target, authorization, status, words) in [
        ("oauth", "Bearer writer", 200, "writer"),
        // It may read; the operation asks for more.
        ("oauth", "Bearer reader", 403, "lacks the scope `write`"),
        ("either", "Bearer reader", 200, "reader"),
        ("oauth", "Bearer banned", 403, "you know why"),
        ("oauth", "Bearer hush", 401, "is not known"),
        ("basic", "Basic YWE6YWE=", 200, "aa"),
        ("basic", "Basic YWE6YmI=", 401, "not known for `basic`"),
        ("usual", "Bearer b", 200, "bearer"),
    ] {
        let reply = send(&client, target, &[("authorization", authorization)]).await;
        assert_eq!(reply.status, status, "{target} {authorization}: {reply:?}");
        assert!(
            reply.text().contains(words),
            "{target} {authorization}: {reply:?}"
        );
    }
    let lacking = send(&client, "oauth", &[("authorization", "Bearer reader")]).await;
    let challenge = lacking.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{lacking:?}"
    );
    started.stop().await;
}
