use axum::http::Request;
use serde_json::json;

use super::*;

/// What one parameter is read as: its value, or the status of the refusal.
fn read_one(
    parameter: &Value,
    path: &str,
    uri: &str,
    headers: &[(&str, &str)],
) -> Result<Option<Value>, u16> {
    let template = "/x/{p}";
    let document = Arc::new(Document::new(json!({
        "paths": { template: { "get": { "parameters": [parameter] } } },
        "components": { "schemas": { "Rgb": {
            "type": "object",
            "properties": { "R": { "type": "integer" }, "G": { "type": "integer" }, "B": { "type": "integer" } },
        } } },
    })));
    let parameters = of_operation(&document, template, "get").expect("it is right");
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).expect("it is right").into_parts();
    let field = parameter["name"].as_str().expect("it has a name");
    read(&document, &parameters, vec![("p", path.to_owned())], &head)
        .map(|values| values.get(field).cloned())
        .map_err(|problem| problem.status().as_u16())
}

/// `name`, `in`, style, explode and schema.
fn parameter(place: &str, style: &str, explode: bool, schema: &Value) -> Value {
    let name = if place == "path" { "p" } else { "color" };
    json!({ "name": name, "in": place, "required": place == "path", "style": style, "explode": explode, "schema": schema })
}

/// The examples of OpenAPI's own table.
#[allow(clippy::too_many_lines, reason = "a table")]
#[test]
fn each_style_is_read() {
    let text = json!({ "type": "string" });
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let object = json!({ "$ref": "#/components/schemas/Rgb" });
    let blue = json!("blue");
    let colors = json!(["blue", "black", "brown"]);
    let rgb = json!({ "R": 100, "G": 200, "B": 150 });
    let rows = [
        ("path", "simple", false, &text, "blue", &blue),
        ("path", "simple", false, &list, "blue,black,brown", &colors),
        ("path", "simple", false, &object, "R,100,G,200,B,150", &rgb),
        ("path", "simple", true, &object, "R=100,G=200,B=150", &rgb),
        ("path", "label", false, &text, ".blue", &blue),
        ("path", "label", false, &list, ".blue,black,brown", &colors),
        ("path", "label", true, &list, ".blue.black.brown", &colors),
        ("path", "label", true, &object, ".R=100.G=200.B=150", &rgb),
        ("path", "matrix", false, &text, ";p=blue", &blue),
        (
            "path",
            "matrix",
            false,
            &list,
            ";p=blue,black,brown",
            &colors,
        ),
        (
            "path",
            "matrix",
            true,
            &list,
            ";p=blue;p=black;p=brown",
            &colors,
        ),
        (
            "path",
            "matrix",
            false,
            &object,
            ";p=R,100,G,200,B,150",
            &rgb,
        ),
        ("path", "matrix", true, &object, ";R=100;G=200;B=150", &rgb),
        ("query", "form", true, &text, "color=blue", &blue),
        (
            "query",
            "form",
            true,
            &list,
            "color=blue&color=black&color=brown",
            &colors,
        ),
        (
            "query",
            "form",
            false,
            &list,
            "color=blue,black,brown",
            &colors,
        ),
        (
            "query",
            "form",
            true,
            &list,
            "color[]=blue&color[]=black&color[]=brown",
            &colors,
        ),
        ("query", "form", true, &object, "R=100&G=200&B=150", &rgb),
        (
            "query",
            "form",
            false,
            &object,
            "color=R,100,G,200,B,150",
            &rgb,
        ),
        (
            "query",
            "spaceDelimited",
            false,
            &list,
            "color=blue%20black%20brown",
            &colors,
        ),
        (
            "query",
            "pipeDelimited",
            false,
            &list,
            "color=blue|black|brown",
            &colors,
        ),
        (
            "query",
            "deepObject",
            true,
            &object,
            "color[R]=100&color[G]=200&color[B]=150",
            &rgb,
        ),
        (
            "header",
            "simple",
            false,
            &list,
            "blue, black,brown",
            &colors,
        ),
        ("header", "simple", true, &object, "R=100,G=200,B=150", &rgb),
        ("cookie", "form", false, &text, "a=b; color=blue", &blue),
        (
            "cookie",
            "form",
            false,
            &list,
            "color=blue,black,brown",
            &colors,
        ),
    ];
    for (place, style, explode, schema, written, expected) in rows {
        let parameter = parameter(place, style, explode, schema);
        let read = match place {
            "path" => read_one(&parameter, written, "/x/y", &[]),
            "query" => read_one(&parameter, "y", &format!("/x/y?{written}"), &[]),
            "header" => read_one(&parameter, "y", "/x/y", &[("color", written)]),
            _ => read_one(&parameter, "y", "/x/y", &[("cookie", written)]),
        };
        assert_eq!(
            read,
            Ok(Some(expected.clone())),
            "{place} {style} {explode} {written}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_apart() {
    let number = json!({ "type": "integer", "maximum": 9 });
    let query = |schema: &Value| parameter("query", "form", true, schema);
    let mut required = query(&number);
    required["required"] = true.into();
    let mut defaulted = query(&number);
    defaulted["schema"]["default"] = 3.into();
    let json_content = json!({ "name": "color", "in": "query", "content": { "application/json": { "schema": { "type": "object" } } } });
    let rows = [
        (query(&number), "", Ok(None)),
        (required.clone(), "", Err(400)),
        (required, "color=7", Ok(Some(json!(7)))),
        (defaulted, "", Ok(Some(json!(3)))),
        (query(&number), "color=seven", Err(400)),
        (query(&number), "color=1&color=2", Err(400)),
        (query(&number), "color=10", Err(422)),
        (
            query(&json!({ "type": "array", "items": { "type": "integer" } })),
            "color=1&color=x",
            Err(400),
        ),
        (
            query(&json!({ "type": "string", "enum": ["a"] })),
            "color=b",
            Err(422),
        ),
        (
            query(&json!({ "type": "string" })),
            "color=%00",
            Ok(Some(json!("\0"))),
        ),
        (
            parameter("query", "deepObject", true, &json!({ "type": "object" })),
            "color[a=1",
            Err(400),
        ),
        (
            json_content.clone(),
            "color={\"a\":1}",
            Ok(Some(json!({ "a": 1 }))),
        ),
        (json_content, "color={", Err(400)),
    ];
    for (parameter, query, expected) in rows {
        let query = query
            .replace('{', "%7B")
            .replace('}', "%7D")
            .replace('"', "%22");
        let uri = format!("/x/y?{query}");
        assert_eq!(
            read_one(&parameter, "y", &uri, &[]),
            expected,
            "{parameter} {query}"
        );
    }
    // OpenAPI says that these mean nothing.
    let accept = json!({ "name": "Accept", "in": "header", "required": true, "schema": { "type": "string" } });
    assert_eq!(read_one(&accept, "y", "/x/y", &[]), Ok(None));
}

#[test]
fn names_that_meet_are_told_apart() {
    let document = Arc::new(Document::new(json!({ "paths": { "/x/{id}/{other}": {
        "parameters": [{ "name": "a", "in": "query" }],
        "get": { "parameters": [
            { "name": "id", "in": "query" }, { "name": "a", "in": "query", "required": true }, { "name": "id", "in": "path", "required": true }, { "name": "gone", "in": "path" },
        ] },
    } } })));
    let parameters = of_operation(&document, "/x/{id}/{other}", "get").expect("it is right");
    let fields: Vec<(&str, bool)> = parameters
        .iter()
        .map(|one| (one.field.as_str(), one.required))
        .collect();
    assert_eq!(
        fields,
        [
            ("id", true),
            ("other", true),
            ("a", true),
            ("query:id", false)
        ]
    );
}
