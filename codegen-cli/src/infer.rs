//! Which schema, key and paths form a resource.
