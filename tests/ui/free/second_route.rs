use memgen::prelude::*;

#[handler(get, "/a")]
#[post("/a")]
fn a() {}

fn main() {}
