//! What the feed of a partition consists of, here and on its way between nodes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{mark::Mark, recent::Recorded};
use crate::{key::key_values, memory::Stored, state::State};

/// What comes next in the feed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An entity has this value, as JSON. Where the feed is then, unless it still shows what was there when it began.
    Value(Bytes, Option<Mark>),
    /// There is no entity with this key, the fields of which are given as JSON.
    Absent(Bytes, Option<Mark>),
    /// All that was there was shown, as of this mark; from now on come changes.
    Current(Mark),
    /// All up to here was shown.
    Progress(Mark),
    /// What follows is not known any more.
    Lost,
}

impl Item {
    /// The item of a change. Many feeds may show it, and it is made once.
    pub(super) fn change<S: State>(change: &Recorded<S>, at: Option<Mark>) -> Option<Self> {
        let stored = change.stored.as_deref();
        let data = if let Some(data) = change.json.get() {
            data.clone()
        } else {
            let data = data::<S>(&change.key, stored)?;
            change.json.get_or_init(|| data).clone()
        };
        Some(Self::of(data, stored.is_some(), at))
    }

    /// The item of a value that is there, or is not.
    pub(super) fn value<S: State>(
        key: &S::Key,
        stored: Option<&Stored<S>>,
        at: Option<Mark>,
    ) -> Option<Self> {
        Some(Self::of(data::<S>(key, stored)?, stored.is_some(), at))
    }

    fn of(data: Bytes, exists: bool, at: Option<Mark>) -> Self {
        if exists {
            Self::Value(data, at)
        } else {
            Self::Absent(data, at)
        }
    }

    /// Where the feed is after it.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Value(_, at) | Self::Absent(_, at) => *at,
            Self::Current(mark) | Self::Progress(mark) => Some(*mark),
            Self::Lost => None,
        }
    }

    /// It as a line for another node.
    pub(super) fn to_line(&self) -> Bytes {
        let mut line = Line {
            kind: Kind::Lost,
            at: self.mark().map(|mark| mark.to_string()),
            data: None,
        };
        let (kind, data) = match self {
            Self::Value(data, _) => (Kind::Value, Some(data)),
            Self::Absent(data, _) => (Kind::Absent, Some(data)),
            Self::Current(_) => (Kind::Current, None),
            Self::Progress(_) => (Kind::Progress, None),
            Self::Lost => (Kind::Lost, None),
        };
        line.kind = kind;
        line.data = data.and_then(|data| serde_json::from_slice(data).ok());
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        bytes.into()
    }

    /// The item of a line, if it is one.
    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        let Line { kind, at, data } = serde_json::from_slice(line).ok()?;
        let at = match at {
            Some(text) => Some(Mark::parse(&text)?),
            None => None,
        };
        let data = data.map(|data| Bytes::from(Box::<str>::from(data).into_string()));
        Some(match kind {
            Kind::Value => Self::Value(data?, at),
            Kind::Absent => Self::Absent(data?, at),
            Kind::Current => Self::Current(at?),
            Kind::Progress => Self::Progress(at?),
            Kind::Lost => Self::Lost,
        })
    }
}

/// For the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn item_again(bytes: &[u8]) -> crate::fuzzing::Again {
    let item = Item::of_line(bytes).ok_or("it is no item")?;
    Ok(item.to_line().into())
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Value,
    Absent,
    Current,
    Progress,
    Lost,
}

/// An item on its way between nodes.
#[derive(Serialize, Deserialize)]
struct Line {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// What an event says: the entity as `GET` shows it, or the fields of its key.
fn data<S: State>(key: &S::Key, stored: Option<&Stored<S>>) -> Option<Bytes> {
    let json = if let Some(stored) = stored {
        serde_json::to_vec(&stored.state)
    } else {
        let names = S::DEFINITION.key_names.iter();
        let names = names.map(|name| (*name).to_owned());
        let fields: Map<String, Value> = names.zip(key_values::<S>(key)).collect();
        serde_json::to_vec(&fields)
    };
    match json {
        Ok(json) => Some(json.into()),
        Err(error) => {
            // `GET` of it is a fault, too.
            tracing::error!(state = S::DEFINITION.name, %error, "can't be shown in a feed");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_arrive_as_they_were_sent() {
        let data = || Bytes::from_static(br#"{"key":"a","value":1.50}"#);
        let mark = Mark { next: 7, shown: 2 };
        for item in [
            Item::Value(data(), Some(mark)),
            Item::Value(data(), None),
            Item::Absent(data(), Some(Mark::default())),
            Item::Current(mark),
            Item::Progress(mark),
            Item::Lost,
        ] {
            let line = item.to_line();
            let end = line.iter().position(|byte| *byte == b'\n');
            assert_eq!(end, Some(line.len() - 1));
            assert_eq!(Item::of_line(&line).as_ref(), Some(&item));
        }
        for wrong in [
            "",
            "{}",
            r#"{"kind":"current"}"#,
            r#"{"kind":"value","at":"1"}"#,
        ] {
            assert_eq!(Item::of_line(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
