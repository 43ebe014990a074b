use memgen::prelude::*;

#[handler(options, "/connect")]
fn connect() {}

fn main() {}
