//! An undirected graph. Which vertices hang together is kept up to date with each change, so that asking takes constant time.
//!
//! - [`vertex`]: a vertex, the component that it is in, and its edges.
//! - [`component`]: a component and its members.
//! - [`settings`]: a global state, one small copy for all.
//! - [`edges`]: the two requests that change the graph, as transactions.
//! - [`members`]: what hangs together, as a transaction reads it.

mod component;
mod edges;
mod members;
mod settings;
mod vertex;

use component::Component;
use edges::{connect, disconnect, view};
use settings::Settings;
use vertex::Vertex;

memgen::main!(Vertex, Component, Settings, connect, disconnect, view);
