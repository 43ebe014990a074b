use memgen::prelude::*;

#[external(topic = "rates")]
fn rate() {}

fn main() {}
