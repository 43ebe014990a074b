//! An undirected graph. Which vertices hang together is kept up to date with each change, so that asking takes constant time.
//!
//! - [`vertex`]: a vertex, the component that it is in, and its edges.
//! - [`component`]: a component and its members.
//! - [`settings`]: a global state, one small copy for all.
//! - [`edges`]: the two requests that change the graph.
//! - [`settle`]: what makes edges, labels and components agree, also after a crash between two steps.

mod component;
mod edges;
mod settings;
mod settle;
mod vertex;

use component::Component;
use edges::{connect, disconnect};
use settings::Settings;
use vertex::Vertex;

memgen::main!(Vertex, Component, Settings, connect, disconnect);
