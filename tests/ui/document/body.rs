use memgen::contract::prelude::*;

#[derive(Debug, Body)]
pub enum Bodies {
    NoAttribute(String),
    #[body(text)]
    NoQuotes(String),
    #[body("text/plain")]
    Nothing,
    #[body("text/csv")]
    Text(String),
    #[body("text/csv")]
    Again(String),
}

#[derive(Debug, Body)]
pub struct NoEnum;

fn main() {}
