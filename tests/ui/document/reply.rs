use memgen::contract::prelude::*;

#[derive(Debug, Reply)]
pub enum Answers {
    NeitherNameNorAttribute,
    Status99,
    #[reply(99)]
    NoStatus,
    #[reply("6XX")]
    NoClass,
    #[reply(otherwise)]
    NoWord,
    #[reply(default)]
    NothingSaysIt,
    #[reply("4XX")]
    NotFirst(String, StatusCode),
    #[reply(200)]
    TwoBodies(String, String),
    #[reply(201)]
    NoName {
        #[header]
        rate: i64,
    },
    #[reply(202)]
    TwoStatuses {
        status: StatusCode,
        body: String,
    },
}

#[derive(Debug, Reply)]
pub struct NoEnum;

#[derive(Debug, Reply)]
#[reply(404)]
pub enum NoErrors {
    NotFound,
}

fn main() {}
