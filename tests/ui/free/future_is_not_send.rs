use memgen::prelude::*;

#[handler(get, "/a")]
async fn a() -> usize {
    let shared = std::rc::Rc::new(5);
    std::future::ready(()).await;
    *shared
}

fn main() {}
