//! Whether the parts of a service fit together.

use std::collections::HashMap;

use axum::http::Method;

use super::Service;
use crate::stream::Declared;

impl Service {
    /// What is wrong with the parts as a whole, if anything is.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut topics: HashMap<&str, &str> = HashMap::new();
        let mut routes: HashMap<(Method, String), String> = HashMap::new();
        let states: Vec<_> = self
            .parts
            .iter()
            .filter_map(|part| part.definition())
            .collect();
        for definition in &states {
            if let Some(other) = topics.insert(definition.topic, definition.name) {
                mistakes.push(format!(
                    "`{other}` and `{}` both have the topic `{}`; give one another `topic = \"…\"`",
                    definition.name, definition.topic
                ));
            }
        }
        for part in &self.parts {
            for endpoint in part.endpoints() {
                let route = (endpoint.method.clone(), endpoint.template.numbered());
                let text = endpoint.template.text().to_owned();
                if let Some(other) = routes.insert(route, format!("`{}`", part.name())) {
                    mistakes.push(format!(
                        "{other} and `{}` both answer {} {text}",
                        part.name(),
                        endpoint.method
                    ));
                }
            }
            for needed in part.needs() {
                let externals = self.inputs().filter(|input| input.is_external());
                let mut names = externals.map(|input| input.declared().name);
                if !states.iter().any(|state| state.name == needed)
                    && !names.any(|name| name == needed)
                {
                    mistakes.push(format!(
                        "`{}` uses `{needed}`, but `{needed}` is not a part of the service",
                        part.name()
                    ));
                }
            }
        }
        mistakes.extend(self.mistakes_of_inputs(&topics));
        mistakes
    }

    /// What is wrong with what reads topics of others. `topics` are those of the states.
    fn mistakes_of_inputs(&self, topics: &HashMap<&str, &str>) -> Vec<String> {
        let mut mistakes = Vec::new();
        let first = self.parts.iter().find_map(|part| part.definition());
        let mut homes: HashMap<(&str, &str), &str> = HashMap::new();
        for input in self.inputs() {
            let Declared {
                name,
                topic,
                dead_letters,
                ..
            } = input.declared();
            for (what, topic) in [
                ("takes in", Some(topic)),
                ("has its dead letters in", dead_letters.as_ref()),
            ] {
                let Some(topic) = topic else { continue };
                if let Some(state) = topics.get(topic) {
                    mistakes.push(format!(
                        "`{name}` {what} the topic `{topic}`, which is that of the state `{state}`: events have a topic of their own"
                    ));
                }
            }
            if *dead_letters == Some(*topic) {
                mistakes.push(format!(
                    "`{name}` takes in its own dead letters: give `dead_letters` another topic"
                ));
            }
            if input.is_external() {
                continue;
            }
            // How far an input was taken in is kept there.
            let Some(home) = input.state().or(first) else {
                mistakes.push(format!(
                    "`{name}` takes in events, and the service has no state that keeps how far it is: add one"
                ));
                continue;
            };
            if let Some(other) = homes.insert((home.topic, *topic), *name) {
                mistakes.push(format!(
                    "`{other}` and `{name}` both take in `{topic}`, with `{}` keeping how far that is: let one function do both",
                    home.name
                ));
            }
        }
        mistakes
    }
}
