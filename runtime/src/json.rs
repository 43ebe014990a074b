//! JSON bodies: media type, depth, and errors that say where.

use axum::http::{HeaderMap, header};

use crate::problem::Problem;

/// Reads a JSON body by `parse`. `also` is a media type that is accepted besides `application/json`.
pub(crate) fn read<T>(
    headers: &HeaderMap,
    body: &[u8],
    depth_max: usize,
    also: Option<&str>,
    parse: impl FnOnce(&[u8]) -> serde_json::Result<T>,
) -> Result<T, Problem> {
    if !is_json(headers, also) {
        return Err(Problem::unsupported_media_type(
            also.unwrap_or("application/json"),
        ));
    }
    check_depth(body, depth_max)?;
    parse(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(format!("the body: {error}")),
        _ => Problem::bad_request(format!("the body is not JSON: {error}")),
    })
}

/// Whether the body is declared as `application/json`, as `also`, or as some `…+json`.
fn is_json(headers: &HeaderMap, also: Option<&str>) -> bool {
    let Some(value) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    // A patch of another kind (`application/json-patch+json`) means something else than its JSON says.
    essence == "application/json"
        || also == Some(essence.as_str())
        || (essence.ends_with("+json") && !essence.contains("patch"))
}

/// Refuses a body that nests deeper than `depth_max`, before a parser recurses into it.
pub(crate) fn check_depth(body: &[u8], depth_max: usize) -> Result<(), Problem> {
    // Most bodies have fewer brackets than they may nest; to count them takes a tenth of the time.
    if brackets(body) <= depth_max {
        return Ok(());
    }
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return Err(Problem::bad_request(format!(
                        "the body nests deeper than {depth_max} levels"
                    ))
                    .with_extension("limit", depth_max));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => drop(bytes.next()),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    Ok(())
}

/// How many brackets open, those inside of strings too.
fn brackets(body: &[u8]) -> usize {
    // In runs that a byte can count, so that the compiler takes many bytes at once.
    body.chunks(255)
        .map(|run| {
            let opening = run.iter().map(|byte| u8::from(matches!(byte, b'[' | b'{')));
            usize::from(opening.sum::<u8>())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn depth_is_that_of_arrays_and_objects_outside_of_strings() {
        for (body, depth) in [
            ("1", 0),
            ("\"[[[[\"", 0),
            ("[\"\\\"[[\"]", 1),
            ("[[1], [2]]", 2),
            ("{\"a\": {\"b\": [1]}}", 3),
        ] {
            assert!(check_depth(body.as_bytes(), depth).is_ok(), "{body}");
            if depth > 0 {
                assert!(check_depth(body.as_bytes(), depth - 1).is_err(), "{body}");
            }
        }
    }

    #[test]
    fn media_types() {
        for (value, is) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("Application/JSON", true),
            ("application/vnd.a+json", true),
            ("application/merge-patch+json", false),
            ("application/json-patch+json", false),
            ("text/plain", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(is_json(&headers, None), is, "{value}");
        }
        assert!(!is_json(&HeaderMap::new(), None));
    }
}
