//! Functions of events.

use memgen::prelude::*;

/// A place.
#[stateful_api(path = "/place", crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Its country.
    #[key]
    pub country: String,
    /// Its name.
    #[key]
    pub name: String,
    /// How often something was seen there.
    pub seen: u64,
}

/// Where something was seen.
#[derive(Clone, Debug, Deserialize)]
pub struct Spot {
    /// The country.
    pub country: String,
    /// The name of the place.
    pub name: String,
}

/// Something was seen.
#[derive(Clone, Debug, Deserialize)]
pub struct Sighting {
    /// Where.
    pub spot: Spot,
    /// How often.
    pub r#type: u64,
}

/// Counts it.
#[on_event(topic = "sightings", key = "spot.country, spot.name")]
pub fn sighted(entry: &mut Entry<Place>, sighting: Sighting) {
    if let Some(place) = entry.get_mut() {
        place.seen += sighting.r#type;
    }
}

/// Forgets a place.
#[on_event(topic = "forgotten", format = "bytes")]
pub fn forgotten(entry: &mut Entry<Place>, _: Vec<u8>) -> Option<u64> {
    entry.remove().map(|place| place.seen)
}

/// Forgets a place as well.
///
/// # Errors
/// If there can't be such a place.
#[on_event(topic = "closed", key = "type", dead_letters = "strange")]
pub async fn closed(tx: &mut Tx, sighting: Sighting) -> Result<NoContent, NotFound> {
    let key = (sighting.spot.country, sighting.spot.name);
    let deleted = tx.delete::<Place>(&key);
    deleted.map_err(|_| NotFound::new("no such place"))?;
    Ok(NoContent)
}
