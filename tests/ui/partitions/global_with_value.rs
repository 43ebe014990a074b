use memgen::prelude::*;

#[stateful_api(path = "/settings", global = true)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Setting {
    #[key]
    name: String,
}

fn main() {}
