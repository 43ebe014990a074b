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
