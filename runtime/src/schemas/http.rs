//! A registry that speaks Confluent's REST API: Confluent's own, Karapace, or Apicurio, which does so below `/apis/ccompat/v7`.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::registry::Failure;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The longest answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How much of an answer that is none is shown.
const SHOWN_MAX: usize = 300;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

#[derive(Debug)]
pub(super) struct Http {
    /// Without a slash at its end.
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    schema: String,
    #[serde(default)]
    schema_type: Option<String>,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

/// What it says if it won't. What is no registry, such as a proxy or another path, says nothing like that.
#[derive(Deserialize)]
struct Said {
    error_code: u32,
    message: String,
}

impl Http {
    pub(super) fn new(url: &str) -> Self {
        Self {
            base: url.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(super) async fn schema(&self, id: u32) -> Result<String, Failure> {
        let path = format!("/schemas/ids/{id}");
        let found: Found = self.ask(Method::GET, &path, Bytes::new()).await?;
        match found.schema_type.as_deref() {
            None | Some("AVRO") => Ok(found.schema),
            Some(other) => Err(Failure::Refused(format!("it is one of {other}"))),
        }
    }

    pub(super) async fn register(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        let path = format!("/subjects/{subject}/versions");
        let body = json!({"schemaType": "AVRO", "schema": schema}).to_string();
        let registered: Registered = self.ask(Method::POST, &path, body.into()).await?;
        Ok(registered.id)
    }

    async fn ask<T: for<'d> Deserialize<'d>>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.base);
        let away = |what: &dyn std::fmt::Display| Failure::Away(format!("{method} {url}: {what}"));
        let request = Request::builder()
            .method(&method)
            .uri(&url)
            .header(ACCEPT, format!("{MEDIA_TYPE}, application/json"))
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .body(Full::new(body))
            .map_err(|error| Failure::Refused(format!("{url}: {error}")))?;
        let answered = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| match std::error::Error::source(&error) {
                Some(cause) => away(&format_args!("{error}: {cause}")),
                None => away(&error),
            })?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(|error| away(&error))?;
            Ok((status, body.to_bytes()))
        };
        let answered = timeout(ANSWER_MAX, answered).await;
        let (status, body) = answered.map_err(|_| away(&"no answer in time"))??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| away(&error));
        }
        let is_final = [
            StatusCode::BAD_REQUEST,
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]
        .contains(&status);
        let shown = |text: &str| text.chars().take(SHOWN_MAX).collect::<String>();
        Err(match serde_json::from_slice::<Said>(&body) {
            Ok(Said {
                error_code,
                message,
            }) if is_final => {
                Failure::Refused(format!("{method} {url}: {error_code}: {}", shown(&message)))
            }
            _ => {
                let text = String::from_utf8_lossy(&body);
                away(&format_args!("{status} {}", shown(&text)))
            }
        })
    }
}
