//! The operations of the tag `notes` that the document alone does not answer.

use crate::generated::{notes::*, states::NoteState};

/// Who answers.
#[derive(Debug)]
pub struct Handlers;

#[operations]
impl NotesApi for Handlers {
    async fn count_words(cx: Cx, parameters: CountWordsParameters) -> Result<CountWordsReply> {
        let note = cx.store::<NoteState>().get(&parameters.id).await?;
        let note = note.ok_or_else(|| NotFound::new("there is no such note"))?;
        let words = note.text.split_whitespace().count();
        Ok(CountWordsReply::Ok(words.try_into().unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use memgen::testing::Simulation;
    use serde_json::{Value, json};

    /// Three nodes in memory, in milliseconds; each seed is another interleaving, and always the same one.
    #[test]
    fn a_note_survives_the_node_that_took_it() {
        Simulation::seeds(0..10, async |world| {
            let cluster = world.cluster(crate::generated::service, 3).await;
            let post = cluster.node(0).post("/notes");
            let note: Value = post
                .json(&json!({ "text": "some bread" }))
                .await
                .expect(201)
                .json();
            cluster.crash(0);
            let id = note["id"].as_str().expect("it has an id");
            let path = format!("/notes/{id}");
            let found: Value = cluster.node(1).get(&path).await.expect(200).json();
            assert_eq!(found["text"], "some bread");
        });
    }
}
