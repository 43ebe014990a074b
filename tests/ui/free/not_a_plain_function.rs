use memgen::prelude::*;

#[handler(get, "/a")]
const fn constant() -> u32 {
    1
}

#[handler(get, "/b")]
unsafe fn not_safe() -> u32 {
    1
}

#[handler(post, "/c")]
async fn generic<T: Send>(body: Json<T>) {
    drop(body);
}

fn main() {}
