use memgen::prelude::*;

#[handler(get)]
fn index() {}

fn main() {}
