//! The service under test.

use memgen::{Service, prelude::*};

/// Its topics, and how many partitions each of them has.
pub(super) const TOPICS: [(&str, u32); 3] = [("piles", 3), ("flags", 2), ("tallies", 2)];

/// A name, and all that was appended to it.
#[stateful_api(
    path = "/piles",
    topic = "piles",
    partitions = 3,
    crud(get, list, watch)
)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Pile {
    #[key]
    pub(super) name: String,
    pub(super) items: Vec<u64>,
}

#[handlers]
impl Pile {
    /// Appends an item, and says so.
    #[post("/{name}/items")]
    fn append(entry: &mut Entry<Self>, name: String, item: Json<u64>) -> Json<Pile> {
        let appended = Appended {
            name: name.clone(),
            item: item.0,
        };
        entry.emit("appended", &name, &appended);
        let pile = entry.or_insert_with(|| Pile {
            name,
            items: Vec::new(),
        });
        pile.items.push(item.0);
        Json(pile.clone())
    }
}

/// It was appended to a pile.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Appended {
    name: String,
    item: u64,
}

/// What events tell of a pile.
#[stateful_api(path = "/tallies", topic = "tallies", partitions = 2, crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Tally {
    #[key]
    pub(super) name: String,
    /// What commands have appended.
    pub(super) alone: Vec<u64>,
    /// What transactions have appended, with more of the same to other piles.
    pub(super) together: Vec<u64>,
}

fn tally(entry: &mut Entry<Tally>) -> &mut Tally {
    let name = entry.key().clone();
    entry.or_insert_with(|| Tally {
        name,
        alone: Vec::new(),
        together: Vec::new(),
    })
}

/// Takes an event in at the pile's tally.
#[on_event(topic = "appended", key = "name")]
fn count_one(entry: &mut Entry<Tally>, event: Appended) {
    tally(entry).alone.push(event.item);
}

/// Takes an event in at the tallies of several piles, in one transaction.
#[on_event(topic = "appended-to-all", key = "item")]
async fn count_all(tx: &mut Tx, event: Appends) -> Result<()> {
    for name in &event.names {
        let count = |entry: &mut Entry<Tally>| tally(entry).together.push(event.item);
        tx.update(name, count).await?;
    }
    Ok(())
}

/// Something that is there until it is deleted, and then never again.
#[stateful_api(
    path = "/flags",
    topic = "flags",
    partitions = 2,
    crud(get, list, put, delete)
)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Flag {
    #[key]
    pub(super) item: u64,
}

/// What is appended to several piles at once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Appends {
    pub(super) names: Vec<String>,
    pub(super) item: u64,
}

/// Appends an item to several piles, says so, and shows them.
#[handler(post, "/appends")]
async fn append_to_all(tx: &mut Tx, appends: Json<Appends>) -> Result<Json<Vec<Pile>>> {
    tx.emit("appended-to-all", appends.item, &appends.0);
    let Appends { names, item } = appends.0;
    let mut piles = Vec::new();
    for name in names {
        let pile = tx.get::<Pile>(&name).await?;
        let mut pile = pile.unwrap_or_else(|| Pile {
            name,
            items: Vec::new(),
        });
        pile.items.push(item);
        tx.put(pile.clone())?;
        piles.push(pile);
    }
    Ok(Json(piles))
}

/// Shows several piles as they are at one moment.
#[handler(post, "/looks")]
async fn look(tx: &Tx, names: Json<Vec<String>>) -> Result<Json<Vec<Pile>>> {
    let mut piles = Vec::new();
    for name in names.0 {
        let pile = tx.get::<Pile>(&name).await?;
        piles.push(pile.unwrap_or_else(|| Pile {
            name,
            items: Vec::new(),
        }));
    }
    Ok(Json(piles))
}

pub(super) fn service() -> Service {
    memgen::service!(Pile, Flag, Tally, append_to_all, look, count_one, count_all)
}
