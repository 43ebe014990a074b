use super::*;

fn paging(list: &Value, body: &Value) -> Paging {
    let operation = json!({
        "responses": {"200": {"content": {"application/json": {"schema": body}}}},
        "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 0}}],
    });
    let decision: OperationDecision = serde_json::from_value(json!({
        "state": "pet", "action": "list", "reply": "/items", "list": list,
    }))
    .unwrap();
    Paging::new(
        &json!({"paths": {"/pets": {"get": operation}}}),
        "/pets",
        &operation,
        &decision,
    )
}

fn described(
    list: &Value,
    body: &Value,
    asked: &Value,
    uri: &'static str,
    next: Option<&str>,
) -> (Page, Value) {
    let paging = paging(list, body);
    let Value::Object(parameters) = asked else {
        unreachable!()
    };
    let page = paging.page(parameters, &Limits::default(), String::new(), 1, "pet");
    let page = page.expect("its filters are right");
    let outcome = Outcome {
        count: 2,
        next: next.map(str::to_owned),
        total: 7,
    };
    let mut whole = json!({"items": []});
    paging.describe(
        &mut whole,
        &page,
        &outcome,
        "http://h",
        &Uri::from_static(uri),
    );
    (page, whole)
}

#[test]
fn replies_say_what_the_document_says() {
    let text = json!({"type": "string"});
    let link = json!({"type": ["string", "null"], "format": "uri"});
    let cursor = json!({"limit": "limit", "after": "cursor", "next": "/next", "total": "/total", "more": "/more"});
    let pages = json!({"limit": "limit", "page": "page", "next": "/next"});
    let offsets = json!({"limit": "limit", "offset": "offset", "next": "/next"});
    let body = |next: &Value| {
        json!({"properties": {
            "next": next, "limit": {"type": "integer"}, "page": {"type": "integer"}, "offset": {"type": "integer"},
        }})
    };
    for (list, next_schema, asked, uri, next, expected) in [
        (
            &cursor,
            &text,
            json!({"limit": 2}),
            "/pets",
            Some("k"),
            json!({"items": [], "limit": 2, "next": "k", "total": 7, "more": true}),
        ),
        (
            &cursor,
            &text,
            json!({}),
            "/pets",
            None,
            json!({"items": [], "limit": 100, "total": 7, "more": false}),
        ),
        (
            &cursor,
            &link,
            json!({"limit": 2}),
            "/pets?cursor=a&limit=2",
            Some("k/l"),
            json!({
                "items": [], "limit": 2, "next": "http://h/pets?limit=2&cursor=k%2Fl", "total": 7, "more": true,
            }),
        ),
        (
            &cursor,
            &link,
            json!({"limit": 2}),
            "/pets",
            None,
            json!({"items": [], "limit": 2, "next": null, "total": 7, "more": false}),
        ),
        (
            &pages,
            &text,
            json!({"limit": 2, "page": 3}),
            "/pets?page=3",
            Some("k"),
            json!({
                "items": [], "limit": 2, "page": 3, "next": "http://h/pets?page=4",
            }),
        ),
        (
            &pages,
            &json!({"type": "integer"}),
            json!({"limit": 2, "page": 3}),
            "/pets?page=3",
            Some("k"),
            json!({
                "items": [], "limit": 2, "page": 3, "next": 4,
            }),
        ),
        (
            &offsets,
            &json!({"type": "integer"}),
            json!({"limit": 2, "offset": 4}),
            "/pets",
            Some("k"),
            json!({
                "items": [], "limit": 2, "offset": 4, "next": 6,
            }),
        ),
    ] {
        let (_, whole) = described(list, &body(next_schema), &asked, uri, next);
        assert_eq!(whole, expected, "{list} {asked}");
    }
}

#[test]
fn requests_are_read() {
    let list = json!({"limit": "limit", "page": "page", "filters": {"status": "/status", "tag": "/a~1b/c"}});
    let body = json!({});
    let max = Limits::default().list_limit_max;
    for (asked, offset, limit, filters) in [
        (json!({}), 0, 100, 0),
        (json!({"limit": 0, "page": -3}), 0, 100, 0),
        (json!({"limit": 5, "page": 2}), 10, 5, 0),
        (json!({"limit": 1_000_000_000, "page": 1}), max, max, 0),
        (json!({"status": "sold"}), 0, 100, 1),
        (json!({"status": ["sold", "new"], "tag": 3}), 0, 100, 2),
        (json!({"status": [], "tag": null}), 0, 100, 0),
        (json!({"page": u64::MAX}), LOOKED_AT_MAX, 100, 0),
    ] {
        let (page, _) = described(&list, &body, &asked, "/pets", None);
        let selection = page.selection;
        assert_eq!(
            (selection.offset, selection.limit, selection.filters.len()),
            (offset, limit, filters),
            "{asked}"
        );
    }
    let (page, _) = described(&list, &body, &json!({"tag": 3}), "/pets", None);
    assert_eq!(
        page.selection.filters,
        [Filter {
            at: "/pet/a~1b/c".to_owned(),
            any: vec![json!(3)],
            limits: Vec::new(),
        }]
    );
    let (page, _) = described(
        &list,
        &body,
        &json!({"tag": {"gte": 1, "lt": 9}}),
        "/pets",
        None,
    );
    assert_eq!(page.selection.filters[0].limits.len(), 2);
    assert!(filter("tag", String::new(), &json!({"like": 1})).is_err());
}

#[test]
fn cursors_and_keys() {
    for (within, left, key, text) in [
        ("", 1, "a/b", "a/b"),
        ("", 2, "a%2Fb/c", "a%2Fb/c"),
        ("7/", 1, "7/a%2Fb", "a/b"),
        ("7/", 2, "7/a%2Fb/c", "a%2Fb/c"),
    ] {
        assert_eq!(cursor(within, left, key), text);
        assert_eq!(after_key(within, left, text), key);
    }
}
