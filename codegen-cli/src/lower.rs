//! From the bundled tree to types and operations.
