use memgen::prelude::*;

#[handler(pots, "/connect")]
fn connect() {}

fn main() {}
