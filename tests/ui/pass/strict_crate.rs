//! A crate that denies what it can.
#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]
#![deny(unused_qualifications, single_use_lifetimes, trivial_casts)]

use memgen::prelude::*;

/// A vertex.
#[stateful_api(path = "/vertex")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    /// Its key.
    #[key]
    pub id: u32,
    /// What it is connected with.
    pub edges: Vec<u32>,
}

#[handlers]
impl Vertex {
    /// How many edges it has.
    #[get("/{id}/degree")]
    pub fn degree(&self) -> usize {
        self.edges.len()
    }

    /// Forgets all edges.
    #[post("/{id}/reset")]
    pub fn reset(&mut self) {
        self.edges.clear();
    }
}

/// Where to begin.
#[handler(get, "/")]
pub fn index() -> SeeOther {
    SeeOther::to("/vertex")
}

fn main() {}
