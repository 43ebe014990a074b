//! How the values of a state are laid out, and whether a type reads those of another layout.
//!
//! The log outlives the code that wrote it. So the layout of each state is kept with the log, and in `memgen.layouts` beside the project's
//! code: a change after which older values could not be read is found when it is made (`memgen check`), and at the latest before the service starts.
//!
//! In this order: `outline` reads a schema · `candidate` makes values of it · `oracle` is the type that is asked · `discover` finds the layout (`node`, `plain`) ·
//! `compare` asks the new type for values of an old layout, and says what it found (`finding`).

mod candidate;
mod compare;
mod discover;
mod finding;
mod node;
mod oracle;
mod outline;
mod plain;

use serde::{Serialize, de::DeserializeOwned};

use self::discover::Described;
pub(crate) use self::{
    compare::compare,
    finding::{Change, Finding, Owner},
    node::Layout,
    oracle::{Reads, ask},
};

/// How values of a type are laid out.
pub(crate) fn of<T: Serialize + DeserializeOwned + schemars::JsonSchema>() -> Layout {
    let settings = schemars::generate::SchemaSettings::default();
    let schema = |settings: schemars::generate::SchemaSettings| {
        settings
            .into_generator()
            .into_root_schema_for::<T>()
            .to_value()
    };
    let described = Described {
        written: schema(settings.clone().for_serialize()),
        read: schema(settings.for_deserialize()),
    };
    discover::discover(described, Some(&ask::<T>))
}

#[cfg(test)]
mod tests;
