//! What becomes of each operation, as a table.
