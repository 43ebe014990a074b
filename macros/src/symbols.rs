//! Every word of an attribute, once.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// Field attribute: a part of the key.
pub(crate) const KEY: &str = "key";
/// Field attribute: the value that a document describes; the other fields are its key.
pub(crate) const ENTITY: &str = "entity";
/// Field attribute: a part of the key that decides the partition.
pub(crate) const PARTITION_BY: &str = "partition_by";

/// Struct attribute: a type that values may have had before.
pub(crate) const MIGRATE: &str = "migrate";

/// The path of the collection.
pub(crate) const PATH: &str = "path";
/// The changelog topic.
pub(crate) const TOPIC: &str = "topic";
/// The number of partitions.
pub(crate) const PARTITIONS: &str = "partitions";
/// One partition, and a copy on every node.
pub(crate) const GLOBAL: &str = "global";
/// The operations that need no code.
pub(crate) const CRUD: &str = "crud";

/// When a write counts.
pub(crate) const ACK: &str = "ack";

/// The topic of events that can't be taken in.
pub(crate) const DEAD_LETTERS: &str = "dead_letters";
/// How events, and values of others, are written.
pub(crate) const FORMAT: &str = "format";

/// The attribute of what others write.
pub(crate) const EXTERNAL: &str = "external";
/// What `#[external(…)]` knows.
pub(crate) const EXTERNAL_WORDS: [&str; 4] = [PATH, TOPIC, FORMAT, CRUD];

/// What `#[on_event(…)]` knows.
pub(crate) const EVENT_WORDS: [&str; 4] = [TOPIC, KEY, DEAD_LETTERS, FORMAT];

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Avro,
    Bytes,
}

impl Format {
    pub(crate) const WORDS: [&str; 3] = ["json", "avro", "bytes"];

    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "json" => Self::Json,
            "avro" => Self::Avro,
            "bytes" => Self::Bytes,
            _ => return None,
        })
    }
}

/// What `#[stateful_api(…)]` knows.
pub(crate) const STATE_WORDS: [&str; 6] = [PATH, TOPIC, PARTITIONS, GLOBAL, CRUD, ACK];

/// When a write counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    All,
    Leader,
    Fsync,
    Os,
}

impl Ack {
    pub(crate) const WORDS: [&str; 4] = ["all", "leader", "fsync", "os"];

    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "all" => Self::All,
            "leader" => Self::Leader,
            "fsync" => Self::Fsync,
            "os" => Self::Os,
            _ => return None,
        })
    }

    /// The log that it is a level of.
    pub(crate) fn log(self) -> &'static str {
        match self {
            Self::All | Self::Leader => "Kafka",
            Self::Fsync | Self::Os => "the embedded log",
        }
    }

    /// The variant of `memgen::state::Ack`.
    pub(crate) fn variant(self) -> Ident {
        Ident::new(&format!("{self:?}"), Span::call_site())
    }
}

/// The most partitions that a topic may have.
pub(crate) const PARTITIONS_MAX: u32 = 4096;
/// The longest topic that Kafka accepts, in bytes.
pub(crate) const TOPIC_BYTES_MAX: usize = 249;

/// An operation that needs no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crud {
    Get,
    List,
    Post,
    Put,
    Patch,
    Delete,
    Watch,
}

impl Crud {
    pub(crate) const WORDS: [&str; 7] = ["get", "list", "post", "put", "patch", "delete", "watch"];

    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "get" => Self::Get,
            "list" => Self::List,
            "post" => Self::Post,
            "put" => Self::Put,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            "watch" => Self::Watch,
            _ => return None,
        })
    }

    /// Those that change nothing, and need nobody who changes something.
    pub(crate) const READS: [&str; 2] = ["get", "list"];

    /// The variant of `memgen::state::Crud`.
    pub(crate) fn variant(self) -> Ident {
        Ident::new(&format!("{self:?}"), Span::call_site())
    }
}

/// A method of HTTP that a handler may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub(crate) const WORDS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "get" => Self::Get,
            "post" => Self::Post,
            "put" => Self::Put,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            _ => return None,
        })
    }

    /// Why a word that looks like a method is none, for a message.
    pub(crate) fn why_not(word: &str) -> Option<&'static str> {
        match word {
            "head" => Some("`HEAD` is answered by the route of `get`"),
            "options" | "trace" | "connect" => Some("handlers do not answer this method"),
            "any" | "route" => Some("a handler has one method"),
            _ => None,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    /// The constant of `http::Method`.
    pub(crate) fn constant(self) -> TokenStream {
        let name = Ident::new(&self.word().to_ascii_uppercase(), Span::call_site());
        quote!(::memgen::private::Method::#name)
    }
}
