//! The model of a service as source text.
