//! The texts of a request's head.

use axum::http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;

/// The texts of a request's head.
pub(super) struct Texts<'r> {
    pub(super) path: Vec<(&'r str, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: &'r HeaderMap,
}

impl Texts<'_> {
    /// A header; several of one name are one list.
    pub(super) fn header(&self, name: &str) -> Result<Option<String>, String> {
        let Ok(name) = HeaderName::try_from(name) else {
            return Ok(None);
        };
        let mut texts = Vec::new();
        for value in self.headers.get_all(name) {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| "is not UTF-8")?;
            texts.push(text.trim());
        }
        Ok((!texts.is_empty()).then(|| texts.join(",")))
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        cookie(self.headers, name)
    }
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter();
    let texts = all.filter_map(|value| value.to_str().ok());
    for text in texts {
        for pair in text.split(';') {
            if let Some((own, value)) = pair.trim().split_once('=')
                && own == name
            {
                let value = value.trim_matches('"');
                return Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
            }
        }
    }
    None
}
