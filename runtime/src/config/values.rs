//! Text to value and back, for the kinds of values that settings have. Each error says what is legal.

use std::{
    collections::BTreeSet,
    fmt::Display,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use super::{PARTITIONS_MAX, SchemaRegistry};

/// A whole number within a range.
pub(super) fn number<T>(text: &str, legal: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let expected = || {
        format!(
            "expected a whole number from {} to {}",
            legal.start(),
            legal.end()
        )
    };
    let number = text.parse().map_err(|_| expected())?;
    if legal.contains(&number) {
        Ok(number)
    } else {
        Err(expected())
    }
}

/// The longest time that can be set: 30 days.
const MILLISECONDS_MAX: u64 = 30 * 24 * 3600 * 1000;

/// A time in milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = number(text, 1..=MILLISECONDS_MAX)?;
    Ok(Duration::from_millis(number))
}

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes, such as `512`, `64KiB` or `1MiB`.
pub(super) fn bytes(text: &str, legal: RangeInclusive<u64>) -> Result<u64, String> {
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((text, 1));
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|bytes| legal.contains(bytes))
        .ok_or_else(|| {
            format!(
                "expected a number of bytes from {} to {}, such as 65536, 64KiB or 1MiB",
                show_bytes(*legal.start()),
                show_bytes(*legal.end())
            )
        })
}

/// As [`bytes()`], for sizes in memory.
pub(super) fn size(text: &str, legal: RangeInclusive<u64>) -> Result<usize, String> {
    let bytes = bytes(text, legal)?;
    usize::try_from(bytes).map_err(|_| "more than this machine can address".to_owned())
}

/// The shortest text that [`bytes()`] reads as this number.
pub(super) fn show_bytes(bytes: u64) -> String {
    UNITS
        .iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(name, unit)| format!("{}{name}", bytes / unit),
        )
}

/// `HOST:PORT`. A name is looked up now, once.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let expected = "expected HOST:PORT, such as 127.0.0.1:8081, [::1]:8081 or localhost:8081";
    let (host, port) = text.rsplit_once(':').ok_or(expected)?;
    if host.is_empty() || host.contains([':', '[', ']', '/']) {
        return Err(expected.to_owned());
    }
    let port: u16 = number(port, 0..=u16::MAX).map_err(|error| format!("the port: {error}"))?;
    let unknown = || format!("the host `{host}` is not known here");
    (host, port)
        .to_socket_addrs()
        .map_err(|_| unknown())?
        .next()
        .ok_or_else(unknown)
}

/// `HOST:PORT`, or several with commas in between. Names are looked up when they are needed.
pub(super) fn hosts(text: &str) -> Result<String, String> {
    let expected = || "expected HOST:PORT, or several with commas in between".to_owned();
    if text.contains('@') {
        return Err(format!(
            "{}; who asks is said by kafka.sasl.username and kafka.sasl.password",
            expected()
        ));
    }
    let mut hosts = Vec::new();
    for address in text.split(',') {
        let address = address.trim();
        let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let legal = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']),
        };
        if !legal {
            return Err(expected());
        }
        number::<u16>(port, 1..=u16::MAX).map_err(|error| format!("the port: {error}"))?;
        hosts.push(address);
    }
    Ok(hosts.join(","))
}

/// The fewest letters of a secret between nodes.
const PEER_SECRET_MIN: usize = 16;

/// A secret between nodes: it travels in a header.
pub(super) fn peer_secret(text: &str) -> Result<String, String> {
    let visible = |byte: u8| (b' '..=b'~').contains(&byte);
    if text.len() < PEER_SECRET_MIN || text.trim() != text || !text.bytes().all(visible) {
        return Err(format!(
            "expected {PEER_SECRET_MIN} letters, digits and signs of ASCII, or more, such as `openssl rand -hex 32` gives"
        ));
    }
    Ok(text.to_owned())
}

/// A file that is read when it is needed.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected a file".to_owned());
    }
    Ok(text.into())
}

pub(super) fn show_file(file: Option<&Path>) -> String {
    file.map(|file| file.display().to_string())
        .unwrap_or_default()
}

pub(super) fn schema_registry(text: &str) -> Result<SchemaRegistry, String> {
    if !text.contains("://") {
        return file(text).map(SchemaRegistry::Folder);
    }
    let url = text.parse::<hyper::Uri>().ok();
    let url = url.filter(|url| {
        let is_http = url.scheme_str() == Some("http");
        is_http && url.host().is_some_and(|host| !host.is_empty()) && url.query().is_none()
    });
    match url {
        Some(_) => Ok(SchemaRegistry::Http(text.to_owned())),
        None => Err("expected http://HOST:PORT/PATH or a folder".to_owned()),
    }
}

pub(super) fn show_schema_registry(registry: Option<&SchemaRegistry>) -> String {
    match registry {
        Some(SchemaRegistry::Http(url)) => url.clone(),
        Some(SchemaRegistry::Folder(path)) => show_file(Some(path)),
        None => String::new(),
    }
}

/// Names of security schemes with a secret each, such as `api_key=secret,login=user:password`.
pub(super) fn credentials(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(|part| {
        let pair = part.split_once('=');
        let pair = pair.map(|(name, secret)| (name.trim(), secret.trim()));
        match pair {
            Some((name, secret)) if !name.is_empty() && !secret.is_empty() => {
                Ok((name.to_owned(), secret.to_owned()))
            }
            _ => Err("expected names of security schemes, each with its secret: api_key=secret,login=user:password".to_owned()),
        }
    });
    pairs.collect()
}

pub(super) fn show_credentials(credentials: &[(String, String)]) -> String {
    let pairs = credentials
        .iter()
        .map(|(name, secret)| format!("{name}={secret}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// Numbers of partitions, such as `0,1,2` or `0-3,8`.
pub(crate) fn partitions(text: &str) -> Result<BTreeSet<u32>, String> {
    let expected = || {
        format!(
            "expected numbers of partitions from 0 to {}, such as 0,1,2,3 or 0-3",
            PARTITIONS_MAX - 1
        )
    };
    let number = |text: &str| {
        text.trim()
            .parse::<u32>()
            .ok()
            .filter(|number| *number < PARTITIONS_MAX)
            .ok_or_else(expected)
    };
    let mut partitions = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(expected());
        }
        partitions.extend(first..=last);
    }
    Ok(partitions)
}

/// A name that can stand in a file name, a metric and a log line.
pub(super) fn name(text: &str) -> Result<String, String> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if (1..=128).contains(&text.len()) && text.chars().all(legal) && !text.starts_with('.') {
        Ok(text.to_owned())
    } else {
        Err(
            "expected 1 to 128 letters, digits, `-`, `_` and `.`, not beginning with `.`"
                .to_owned(),
        )
    }
}

/// The name or address of a machine, without a port.
pub(super) fn host(text: &str) -> Result<String, String> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let is_host = match text.parse::<IpAddr>() {
        Ok(address) => !address.is_unspecified(),
        Err(_) => (1..=253).contains(&text.len()) && text.chars().all(legal),
    };
    if is_host {
        Ok(text.to_owned())
    } else {
        Err("expected the name or the address of a machine, without a port".to_owned())
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(text: &str, legal: &[(&str, T)]) -> Result<T, String> {
    legal
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<String> = legal.iter().map(|(word, _)| format!("`{word}`")).collect();
            let hint = did_you_mean(text, legal.iter().map(|(word, _)| *word));
            format!("expected {}{hint}", words.join(" or "))
        })
}

/// Which lines of the log are written: a level, or `target=level` several times.
pub(super) fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A word alone would be taken as a target with all its lines: never what a mistyped level means.
    for part in text.split(',') {
        let level = part
            .rsplit_once('=')
            .map_or(part, |(_, level)| level)
            .trim();
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            let hint = did_you_mean(level, LEVELS);
            return Err(format!(
                "expected one of {}, or memgen=debug,info{hint}",
                LEVELS.join(", ")
            ));
        }
    }
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("expected a level, or memgen=debug,info: {error}"))
}

/// `; did you mean …?`, or nothing if no word is near.
pub(super) fn did_you_mean<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    /// Below this, two words are no more alike than any two.
    const NEAR: f64 = 0.8;
    let text = text.to_ascii_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&text, word), word))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map_or_else(String::new, |(_, word)| format!("; did you mean `{word}`?"))
}

/// The text without a password that a URL may carry.
pub(super) fn redact(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://…@{host}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes() {
        for (text, bytes_expected) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("64KiB", Some(65_536)),
            ("1 MiB", Some(1 << 20)),
            ("2GiB", Some(2 << 30)),
            ("3GiB", None),
            ("1MB", None),
            ("1.5MiB", None),
            ("MiB", None),
            ("-1", None),
            ("", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(bytes(text, 0..=2 << 30).ok(), bytes_expected, "{text:?}");
        }
        for number in [0, 1, 1023, 1024, 1025, 1 << 20, 3 << 30] {
            assert_eq!(bytes(&show_bytes(number), 0..=u64::MAX), Ok(number));
        }
    }

    #[test]
    fn addresses() {
        for (text, legal) in [
            ("127.0.0.1:8081", true),
            ("0.0.0.0:0", true),
            ("[::1]:8081", true),
            ("localhost:8081", true),
            ("localhost", false),
            (":8081", false),
            ("8081", false),
            ("127.0.0.1:65536", false),
            ("127.0.0.1:", false),
            ("::1:8081x", false),
            ("http://127.0.0.1:8081", false),
            ("", false),
        ] {
            assert_eq!(
                address(text).is_ok(),
                legal,
                "{text:?}: {:?}",
                address(text)
            );
        }
    }

    #[test]
    fn lists_of_partitions() {
        for (text, expected) in [
            ("0", Some(vec![0])),
            ("0,1,2,3", Some(vec![0, 1, 2, 3])),
            ("3, 1", Some(vec![1, 3])),
            ("0-2,5", Some(vec![0, 1, 2, 5])),
            ("4095", Some(vec![4095])),
            ("4096", None),
            ("2-1", None),
            ("0-4294967295", None),
            ("0,,1", None),
            ("", None),
            ("a", None),
            ("-1", None),
        ] {
            let partitions = partitions(text)
                .ok()
                .map(|numbers| numbers.into_iter().collect::<Vec<_>>());
            assert_eq!(partitions, expected, "{text:?}");
        }
    }

    #[test]
    fn names() {
        for (text, legal) in [
            ("graph", true),
            ("a.b-c_1", true),
            ("", false),
            ("a b", false),
            ("../x", false),
            ("é", false),
        ] {
            assert_eq!(name(text).is_ok(), legal, "{text:?}");
        }
        assert!(name(&"a".repeat(128)).is_ok() && name(&"a".repeat(129)).is_err());
    }

    #[test]
    fn levels() {
        for (text, legal) in [
            ("info", true),
            ("WARN", true),
            ("memgen=debug,info", true),
            ("memgen::log=trace,error", true),
            ("inof", false),
            ("memgen", false),
            ("memgen=loud", false),
            ("", false),
        ] {
            assert_eq!(log_level(text).is_ok(), legal, "{text:?}");
        }
        assert!(
            log_level("inof")
                .unwrap_err()
                .contains("did you mean `info`?")
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            (
                "kafka://me:secret@host:9092,other:9092",
                "kafka://…@host:9092,other:9092",
            ),
            ("kafka://a:p@ss@host", "kafka://…@host"),
            ("kafka://host:9092", "kafka://host:9092"),
            ("embedded", "embedded"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
