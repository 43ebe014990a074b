use memgen::prelude::*;

#[handler("POST", "/connect")]
fn connect() {}

fn main() {}
