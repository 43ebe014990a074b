//! Methods of a state: all forms, all kinds of arguments and replies.

use memgen::prelude::*;

/// A counter.
#[stateful_api(path = "/groups/{group}/counters")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    #[key]
    group: String,
    #[key]
    name: String,
    value: u64,
    labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
struct Step {
    by: u64,
}

#[handlers]
impl Counter {
    /// What it stands at.
    #[get("/{name}/value")]
    fn value(&self) -> u64 {
        self.value
    }

    #[get("/{name}/labels")]
    fn labels(&self) -> &[String] {
        &self.labels
    }

    #[get("/{name}/label/{at}")]
    fn label(&self, at: usize) -> Option<&str> {
        self.labels.get(at).map(String::as_str)
    }

    /// Back to nothing.
    #[post("/{name}/reset")]
    fn reset(&mut self) {
        self.value = 0;
    }

    #[put("/{name}/times/{factor}")]
    fn multiply(&mut self, factor: u64) -> Result<u64, Conflict> {
        let product = self.value.checked_mul(factor);
        self.value = product.ok_or_else(|| Conflict::new("too large"))?;
        Ok(self.value)
    }

    /// Adds, from nothing if there is no such counter.
    #[post("/{name}/add")]
    fn add(
        entry: &mut Entry<Self>,
        group: String,
        name: String,
        limit: Query<Step>,
        step: Json<Step>,
        _caller: Caller,
    ) -> Result<Created<u64>> {
        let counter = entry.or_insert_with(|| Self { group, name, value: 0, labels: Vec::new() });
        counter.value = counter.value.saturating_add(step.by).min(limit.by);
        if counter.value == limit.by {
            return Err(Conflict::new("at the limit").into());
        }
        Ok(Created::new(counter.value))
    }

    #[cfg(test)]
    #[delete("/{name}/labels")]
    fn clear(&mut self) -> NoContent {
        self.labels.clear();
        NoContent
    }

    fn not_a_handler(&self) -> bool {
        self.labels.is_empty()
    }
}
