//! Problem documents for what hyper refuses itself.
//!
//! A head that is no HTTP, too long, or has too many fields never becomes a request: hyper answers with a bare status and closes. Each
//! error of ours has a body, so an answer of 4xx without one is hyper's, and gets one on its way out.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::http::StatusCode;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::problem::{MEDIA_TYPE, Problem};

/// How an answer begins that may be hyper's own.
const CLIENT_ERROR: &[u8] = b"HTTP/1.1 4";
const NO_BODY: &[u8] = b"content-length: 0\r\n";

/// A connection on which bare errors become problem documents.
pub(super) struct ErrorPages<T> {
    stream: T,
    /// What replaces an answer, as far as it is not yet written.
    page: Bytes,
}

impl<T> ErrorPages<T> {
    pub(super) fn new(stream: T) -> Self {
        Self {
            stream,
            page: Bytes::new(),
        }
    }
}

impl<T: AsyncWrite + Unpin> ErrorPages<T> {
    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.page.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.page))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.page.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ErrorPages<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ErrorPages<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_page(context))?;
        if let Some(page) = page_instead(bytes) {
            self.page = page;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_page(context))?;
        // Hyper's own answers are a head alone.
        if let [head] = slices
            && let Some(page) = page_instead(head)
        {
            self.page = page;
            return Poll::Ready(Ok(head.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_page(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_page(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The same answer with a problem document, if `bytes` are a bare client error and nothing else.
fn page_instead(bytes: &[u8]) -> Option<Bytes> {
    if !bytes.starts_with(CLIENT_ERROR) || !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let at = text.find(std::str::from_utf8(NO_BODY).ok()?)?;
    if text.contains("content-type:") {
        return None;
    }
    let status = StatusCode::from_bytes(text.get(9..12)?.as_bytes()).ok()?;
    let problem = match status {
        StatusCode::BAD_REQUEST => Problem::bad_request("this is not an HTTP/1.1 request"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Problem::header_too_large(
            "the head of the request has more bytes or more fields than the limits allow",
        ),
        StatusCode::URI_TOO_LONG => {
            Problem::new(status, "the path and query of the request are too long")
        }
        _ => Problem::new(status, "the request was refused before it was read whole"),
    };
    let body = serde_json::to_string(&problem).ok()?;
    let (before, after) = (&text[..at], &text[at + NO_BODY.len()..]);
    Some(Bytes::from(format!(
        "{before}content-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\n{after}{body}",
        body.len()
    )))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Takes a few bytes at a time, as a slow client does.
    #[derive(Default)]
    struct Slow(Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(7);
            self.0.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn through(bytes: &[u8]) -> String {
        let mut pages = ErrorPages::new(Slow::default());
        pages.write_all(bytes).await.unwrap();
        pages.flush().await.unwrap();
        String::from_utf8(pages.stream.0).unwrap()
    }

    #[tokio::test]
    async fn bare_errors_get_a_body() {
        for status in ["400 Bad Request", "431 Request Header Fields Too Large"] {
            let bare = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n"
            );
            let answer = through(bare.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\nconnection: close\r\n")));
            assert!(
                head.contains(&format!("content-length: {}\r\n", body.len())),
                "{head}"
            );
            assert!(
                head.contains("content-type: application/problem+json"),
                "{head}"
            );
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(problem["status"], status[..3].parse::<u16>().unwrap());
        }
    }

    #[tokio::test]
    async fn everything_else_is_left_alone() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad",
            "",
        ] {
            assert_eq!(through(answer.as_bytes()).await, answer);
        }
    }
}
