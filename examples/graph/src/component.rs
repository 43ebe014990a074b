//! A component and its members.

use std::collections::BTreeSet;

use memgen::prelude::*;

/// All vertices that can be reached from one another.
#[stateful_api(
    path = "/component",
    topic = "component",
    partitions = 4,
    crud(get, list)
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Component {
    /// The smallest member.
    #[key]
    pub id: u32,
    /// All members, ascending.
    pub connected: BTreeSet<u32>,
}
