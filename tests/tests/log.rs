//! The logs: both pass one suite; the embedded one also survives what happens to files.

#[path = "log/common.rs"]
mod common;
#[path = "log/compaction.rs"]
mod compaction;
#[path = "log/conformance.rs"]
mod conformance;
#[path = "log/damage.rs"]
mod damage;
#[path = "log/format.rs"]
mod format;
#[path = "log/full.rs"]
mod full;
#[path = "log/levels.rs"]
mod levels;
#[path = "log/peek.rs"]
mod peek;
#[path = "log/sim.rs"]
mod sim;
#[path = "log/tables.rs"]
mod tables;
