//! A graph of people who follow one another: `cargo run`, then see <http://127.0.0.1:8081/docs>.

mod person;

use memgen::prelude::*;
use person::Person;

/// One person follows another: an edge from the first to the second.
///
/// Two entities change, wherever they are, as a whole or not at all.
#[handler(post, "/follow/{follower}/{followed}")]
async fn follow(tx: &mut Tx, follower: String, followed: String) -> Result<NoContent> {
    if follower == followed {
        return Err(Conflict::new("nobody follows oneself").into());
    }
    let mut by = person(tx, &follower).await?;
    let mut of = person(tx, &followed).await?;
    by.follows.insert(followed);
    of.followers.insert(follower);
    tx.put(by)?;
    tx.put(of)?;
    Ok(NoContent)
}

/// What is between two people.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Between {
    /// The first follows the second, as the first has it.
    pub follows: bool,
    /// The same, as the second has it.
    pub followed: bool,
}

/// Looks at two people, as both are at one moment.
#[handler(get, "/between/{one}/{other}")]
async fn between(tx: &Tx, one: String, other: String) -> Result<Json<Between>> {
    let follows = person(tx, &one).await?.follows.contains(&other);
    let followed = person(tx, &other).await?.followers.contains(&one);
    Ok(Json(Between { follows, followed }))
}

/// The person with this name, who may be new.
async fn person(tx: &Tx, name: &str) -> Result<Person> {
    let name = name.to_owned();
    let known = tx.get::<Person>(&name).await?;
    Ok(known.unwrap_or_else(|| Person::new(name)))
}

memgen::main!(Person, follow, between);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use memgen::testing::Simulation;
    use serde_json::{Value, json};

    use super::*;

    /// Three nodes in memory, in milliseconds; each seed is another interleaving, and always the same one.
    #[test]
    fn a_crash_leaves_nothing_half_done() {
        Simulation::seeds(0..10, async |world| {
            let cluster = world
                .cluster(|| memgen::service!(Person, follow, between), 3)
                .await;
            let follows = cluster.node(0).post("/follow/ann/bob").try_send();
            let follows = world.spawn(follows);
            // Somewhere in the middle of it.
            world
                .advance(Duration::from_micros(world.seed() * 700))
                .await;
            cluster.crash(0);
            drop(follows.await);
            let between: Value = cluster.node(1).get("/between/ann/bob").await.json();
            assert_eq!(between["follows"], between["followed"]);
            cluster.node(2).post("/follow/ann/bob").await.expect(204);
            let between: Value = cluster.node(1).get("/between/ann/bob").await.json();
            assert_eq!(between, json!({ "follows": true, "followed": true }));
        });
    }
}
