//! A graph of people who follow one another: `cargo run`, then see <http://127.0.0.1:8081/docs>.

mod person;

use memgen::prelude::*;
use person::Person;

/// One person follows another: an edge from the first to the second.
///
/// Two entities change, one after the other, each atomically. The sequence is right when it runs again, so a client that got
/// no answer repeats it.
#[handler(post, "/follow/{follower}/{followed}")]
async fn follow(people: Store<Person>, follower: String, followed: String) -> Result<NoContent> {
    if follower == followed {
        return Err(Conflict::new("nobody follows oneself").into());
    }
    let (by, of) = (follower.clone(), followed.clone());
    people
        .update(followed, move |entry| {
            let name = entry.key().clone();
            let person = entry.or_insert_with(|| Person::new(name));
            person.followers.insert(by.clone());
            Ok(())
        })
        .await?;
    people
        .update(follower, move |entry| {
            let name = entry.key().clone();
            let person = entry.or_insert_with(|| Person::new(name));
            person.follows.insert(of.clone());
            Ok(())
        })
        .await?;
    Ok(NoContent)
}

memgen::main!(Person, follow);
