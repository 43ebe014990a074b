use memgen::prelude::*;

#[handler("/connect")]
fn connect() {}

fn main() {}
