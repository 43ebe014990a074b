use memgen::prelude::*;

#[handler(get, "/a")]
struct A;

fn main() {}
