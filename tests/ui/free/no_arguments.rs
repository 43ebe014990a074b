use memgen::prelude::*;

#[handler]
fn index() {}

fn main() {}
