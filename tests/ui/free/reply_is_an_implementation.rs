use memgen::prelude::*;

#[handler(get, "/a")]
async fn a() -> impl axum::response::IntoResponse {
    "a"
}

fn main() {}
