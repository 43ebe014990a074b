//! Where an ensemble is: `zookeeper://user:password@host:port,host:port/root`.

use std::{fmt, str::FromStr};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The port of a server that names none.
const PORT: u16 = 2181;

/// The servers of an ensemble, the credentials, and below which node everything lies. `Debug` and `Display` do not show the password.
///
/// ```
/// use memgen::coordinator::zookeeper::Address;
///
/// let address: Address = "zookeeper://me:se%2Fcret@one,two:2182/memgen/graph".parse().unwrap();
/// assert_eq!(address.to_string(), "zookeeper://…@one:2181,two:2182/memgen/graph");
/// assert_eq!(address.root(), Some("/memgen/graph"));
/// assert!("zookeeper://one,two/memgen/".parse::<Address>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    servers: Vec<(String, u16)>,
    credentials: Option<(String, String)>,
    root: Option<String>,
}

impl Address {
    /// The node below which everything lies, if one is named.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }

    /// The servers, as the client wants them: `host:port,host:port`.
    #[must_use]
    pub fn servers(&self) -> String {
        let servers = self
            .servers
            .iter()
            .map(|(host, port)| format!("{host}:{port}"));
        servers.collect::<Vec<_>>().join(",")
    }

    /// `user:password` of the scheme `digest`.
    pub(super) fn digest(&self) -> Option<String> {
        let (user, password) = self.credentials.as_ref()?;
        Some(format!("{user}:{password}"))
    }

    /// The text of which the same address is made, with the password.
    pub(crate) fn secret_text(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let credentials = self.credentials.as_ref();
        let credentials =
            credentials.map(|(user, password)| format!("{}:{}@", encoded(user), encoded(password)));
        self.text(&credentials.unwrap_or_default())
    }

    fn text(&self, credentials: &str) -> String {
        let root = self.root.as_deref().unwrap_or_default();
        format!("zookeeper://{credentials}{}{root}", self.servers())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(if self.credentials.is_some() {
            "…@"
        } else {
            ""
        }))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("zookeeper://");
        let rest = rest.ok_or("expected zookeeper://HOST:PORT,…/ROOT")?;
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(read_credentials(credentials)?), rest),
            None => (None, rest),
        };
        let (servers, root) = match rest.find('/') {
            Some(at) => (&rest[..at], Some(read_root(&rest[at..])?)),
            None => (rest, None),
        };
        Ok(Self {
            servers: servers
                .split(',')
                .map(read_server)
                .collect::<Result<_, _>>()?,
            credentials,
            root,
        })
    }
}

fn read_credentials(text: &str) -> Result<(String, String), String> {
    let expected = "expected USER:PASSWORD before the `@`, with `%` and two hexadecimal digits for each special letter (`%40` for `@`)";
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| expected)
    };
    let (user, password) = text.split_once(':').ok_or(expected)?;
    let (user, password) = (decoded(user)?, decoded(password)?);
    // The server takes what is before the first colon as the user.
    if user.is_empty() || password.is_empty() || user.contains(':') {
        return Err(expected.to_owned());
    }
    Ok((user, password))
}

fn read_server(text: &str) -> Result<(String, u16), String> {
    let expected = "expected HOST or HOST:PORT of each server, such as zk-1:2181,zk-2:2181";
    // An address of version 6 stands in brackets, and has colons.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (host, port.ok_or(expected)?)
        }
        _ => (text, PORT),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let legal = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "-._".contains(letter))
        }
    };
    if legal {
        Ok((host.to_owned(), port))
    } else {
        Err(expected.to_owned())
    }
}

fn read_root(text: &str) -> Result<String, String> {
    let legal = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.contains(|letter: char| letter.is_control())
    };
    if text[1..].split('/').all(legal) && !text.starts_with("/zookeeper") {
        Ok(text.to_owned())
    } else {
        Err(
            "expected a path of named nodes as the root, such as /memgen/graph, not below /zookeeper, which is the ensemble's own"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_legal_is_read_and_written_back() {
        for (text, shown) in [
            ("zookeeper://h", "zookeeper://h:2181"),
            ("zookeeper://h:1,i:2/r", "zookeeper://h:1,i:2/r"),
            (
                "zookeeper://[::1],[::2]:7/r/s",
                "zookeeper://[::1]:2181,[::2]:7/r/s",
            ),
            (
                "zookeeper://u:p@127.0.0.1:1/r",
                "zookeeper://…@127.0.0.1:1/r",
            ),
            ("zookeeper://u:p@ss:x%20y@h/r", "zookeeper://…@h:2181/r"),
        ] {
            let address: Address = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
            assert_eq!(address.secret_text().parse().as_ref(), Ok(&address));
        }
        let address: Address = "zookeeper://u%41:p@ss:x%20y@h".parse().unwrap();
        assert_eq!(address.digest().as_deref(), Some("uA:p@ss:x y"));
    }

    #[test]
    fn what_is_not_legal_is_refused_with_what_is_expected() {
        for text in [
            "",
            "h:2181",
            "zookeeper://",
            "zookeeper://h:0",
            "zookeeper://h:99999",
            "zookeeper://h:x",
            "zookeeper://h,",
            "zookeeper://h h",
            "zookeeper://:1",
            "zookeeper://::1",
            "zookeeper://[::g]",
            "zookeeper://h/",
            "zookeeper://h/r/",
            "zookeeper://h//r",
            "zookeeper://h/../r",
            "zookeeper://h/zookeeper/x",
            "zookeeper://u@h",
            "zookeeper://u:@h",
            "zookeeper://:p@h",
            "zookeeper://u%3Av:p@h",
            "zookeeper://u:%ff@h",
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.contains("expected"), "{text}: {error}");
        }
    }
}
