//! The coordinator that is a ZooKeeper ensemble.

mod address;

pub use self::address::Address;
