//! HTTP as anybody might speak it: bytes to a socket, and whatever comes back.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long to wait for bytes or for the end before the test fails: far longer than any deadline of the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
}

/// How a connection went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// All that was received.
    pub bytes: Vec<u8>,
    /// Whether the server ended the connection.
    pub closed: bool,
}

impl Raw {
    /// Connects to the server at `base` (`http://127.0.0.1:8081`).
    ///
    /// # Errors
    /// Those of the system.
    pub async fn connect(base: &str) -> io::Result<Self> {
        let address = base.strip_prefix("http://").expect("a base has a scheme");
        let stream = TcpStream::connect(address).await?;
        Ok(Self { stream })
    }

    /// Sends bytes. A connection that the server closed is no failure: the reply says why.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads until one whole reply head and its body by `content-length` are there, or until the end.
    pub async fn reply(&mut self) -> Ending {
        self.read_until(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                return false;
            };
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            body.len() >= length.unwrap_or(0)
        })
        .await
    }

    /// Reads until the server ends the connection.
    pub async fn end(&mut self) -> Ending {
        self.read_until(|_| false).await
    }

    async fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Ending {
        let mut bytes = Vec::new();
        let mut closed = false;
        let reading = async {
            while !closed && !enough(&bytes) {
                let mut buffer = [0; 4096];
                match self.stream.read(&mut buffer).await {
                    // A reset is an end, too: the kernel sends one if a closed socket has unread input.
                    Ok(0) | Err(_) => closed = true,
                    Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                }
            }
        };
        let in_time = timeout(PATIENCE, reading).await.is_ok();
        assert!(
            in_time,
            "neither a reply nor an end after {PATIENCE:?}; so far: {}",
            String::from_utf8_lossy(&bytes)
        );
        Ending { bytes, closed }
    }
}

impl Ending {
    /// The received bytes as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The status of the first reply, if there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let text = self.text();
        let rest = text.strip_prefix("HTTP/1.")?;
        rest.split(' ').nth(1)?.parse().ok()
    }
}
