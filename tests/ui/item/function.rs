use memgen::prelude::*;

#[stateful_api(path = "/vertex")]
fn vertex() {}

fn main() {}
