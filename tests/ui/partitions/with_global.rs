use memgen::prelude::*;

#[stateful_api(path = "/settings", global, partitions = 4)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Setting {
    #[key]
    name: String,
}

fn main() {}
