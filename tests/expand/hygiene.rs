//! Names in the scope of the user that the macros must not take for others.

use memgen::prelude::{JsonSchema, handler, handlers, stateful_api};
use serde::{Deserialize, Serialize};

// Nothing of this may be taken for what the macros mean.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Option;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vec;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Box;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct State;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Probe;

#[stateful_api(path = "/things", crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Thing {
    #[key]
    key: u8,
    option: Option,
    vec: Vec,
    r#box: Box,
    state: State,
    probe: Probe,
}

#[handlers]
impl Thing {
    #[get("/{key}/routes")]
    fn routes(&self) -> Vec {
        self.vec.clone()
    }

    #[put("/{key}/key")]
    fn write_key(&mut self, target: memgen::prelude::Query<Step>) -> State {
        self.key = target.call;
        self.state.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Step {
    call: u8,
}

#[handler(get, "/probe")]
fn probe() -> Box {
    Box
}
