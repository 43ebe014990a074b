//! `/docs`: the API as a page to read and to try, and `/openapi.json`, which it is made of.
//!
//! The page is Swagger UI. Its files are part of the binary, so that it works without a network.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use crate::problem::Problem;

/// Where the document is.
pub const OPENAPI_PATH: &str = "/openapi.json";

/// Where the page is.
pub const DOCS_PATH: &str = "/docs";

/// The page loads only what comes from here, and sends requests only here; its own start-up needs inline styles, and images
/// that are written in the style sheet.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                                       object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The routes of the page.
///
/// ```
/// let router: axum::Router = axum::Router::new()
///     .merge(memgen::docs::docs_router())
///     .merge(memgen::docs::openapi_router(&serde_json::json!({ "openapi": "3.1.0" })));
/// ```
pub fn docs_router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    // A validator elsewhere would be asked otherwise, which neither works offline nor is anyone's business.
    let config = Config::from(OPENAPI_PATH)
        .validator_url("none")
        // Without the bar that asks for the address of another document.
        .use_base_layout()
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .doc_expansion("list");
    let config = Arc::new(config);
    let file = move |Path(path): Path<String>| {
        let config = Arc::clone(&config);
        async move { file(&path, config) }
    };
    Router::new()
        // The page's own links are relative, so its path has to end with a slash.
        .route(DOCS_PATH, get(|| async { Redirect::permanent("/docs/") }))
        .route(
            "/docs/",
            get({
                let file = file.clone();
                move || file(Path(String::new()))
            }),
        )
        .route("/docs/{*file}", get(file))
}

fn file(path: &str, config: Arc<Config<'static>>) -> Response {
    match utoipa_swagger_ui::serve(path, config) {
        Ok(Some(file)) => {
            let Ok(content_type) = HeaderValue::try_from(file.content_type) else {
                return Problem::internal("a file of the documentation page has no content type")
                    .into_response();
            };
            let mut response = file.bytes.into_owned().into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, content_type);
            if file.gzpipped {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(CONTENT_SECURITY_POLICY),
            );
            headers.insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
            response
        }
        Ok(None) => {
            Problem::not_found(format!("the documentation has no file `{path}`")).into_response()
        }
        Err(error) => Problem::internal(error).into_response(),
    }
}

/// The route of the document. It is rendered once.
pub fn openapi_router<S: Clone + Send + Sync + 'static>(document: &serde_json::Value) -> Router<S> {
    let text = Bytes::from(document.to_string());
    let answer = move || {
        let text = text.clone();
        async move {
            // Tools that run in a page of another origin, such as editors, may read it: it holds no secret.
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
                (header::CACHE_CONTROL, "no-cache"),
            ];
            (headers, text)
        }
    };
    Router::new().route(OPENAPI_PATH, get(answer))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(path: &str) -> (u16, axum::http::HeaderMap, String) {
        let router: Router = Router::new()
            .merge(docs_router())
            .merge(openapi_router(&json!({ "openapi": "3.1.0" })));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            head.status.as_u16(),
            head.headers,
            String::from_utf8_lossy(&body).into_owned(),
        )
    }

    #[tokio::test]
    async fn the_document_is_served_as_it_is() {
        let (status, headers, body) = ask("/openapi.json").await;
        assert_eq!((status, body.as_str()), (200, r#"{"openapi":"3.1.0"}"#));
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    }

    #[tokio::test]
    async fn the_page_and_all_that_it_names_are_there() {
        let (status, headers, _) = ask("/docs").await;
        assert_eq!(
            (status, &headers[header::LOCATION]),
            (308, &HeaderValue::from_static("/docs/"))
        );
        let (status, headers, page) = ask("/docs/").await;
        assert_eq!(status, 200);
        assert!(
            headers[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        let names = page.split(['"', '\'']).filter(|part| {
            [".css", ".js", ".png"]
                .iter()
                .any(|end| part.ends_with(end))
                && !part.contains(' ')
        });
        let mut count = 0;
        for name in names {
            assert!(!name.contains("//"), "{name} comes from elsewhere");
            let name = name.trim_start_matches("./");
            let (status, headers, _) = ask(&format!("/docs/{name}")).await;
            assert_eq!(status, 200, "{name}");
            assert!(headers.contains_key(header::CONTENT_TYPE));
            count += 1;
        }
        assert!(count >= 4, "{page}");
    }

    #[tokio::test]
    async fn the_page_reads_our_document() {
        let (_, _, script) = ask("/docs/swagger-initializer.js").await;
        assert!(script.contains(OPENAPI_PATH), "{script}");
        assert!(!script.contains("petstore"), "{script}");
        assert!(
            !script.contains("http://") && !script.contains("https://"),
            "{script}"
        );
    }

    #[tokio::test]
    async fn other_files_are_a_404_problem() {
        for path in [
            "/docs/none.js",
            "/docs/../Cargo.toml",
            "/docs/%2e%2e/x",
            "/docs/a/b/c",
        ] {
            let (status, headers, _) = ask(path).await;
            assert_eq!(status, 404, "{path}");
            assert_eq!(headers[header::CONTENT_TYPE], crate::problem::MEDIA_TYPE);
        }
    }
}
