//! What the generator does to a folder: compare, write, lock.
