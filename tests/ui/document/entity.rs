use memgen::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Pet {
    pub name: String,
}

#[stateful_api(path = "/pets", crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WithPaths {
    #[key]
    pub id: u32,
    #[entity]
    pub pet: Pet,
}

#[stateful_api]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Two {
    #[key]
    pub id: u32,
    #[entity]
    pub one: Pet,
    #[entity]
    pub other: Pet,
}

#[stateful_api]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    #[key]
    pub id: u32,
    pub count: u32,
    #[entity]
    pub pet: Pet,
}

#[stateful_api]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyToo {
    #[key]
    #[entity]
    pub pet: String,
}

fn main() {}
