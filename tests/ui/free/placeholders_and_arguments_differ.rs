use memgen::prelude::*;

#[handler(post, "/connect/{a}/{target}")]
async fn connect(b: u32, tarket: u32) -> Result<SeeOther> {
    Ok(SeeOther::to(format!("/vertex/{b}/{tarket}")))
}

fn main() {}
