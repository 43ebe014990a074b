//! Functions of events.
use memgen::prelude::*;
/// A place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Its country.
    pub country: String,
    /// Its name.
    pub name: String,
    /// How often something was seen there.
    pub seen: u64,
}
#[automatically_derived]
impl ::memgen::private::Part for Place {}
#[automatically_derived]
impl ::memgen::State for Place {
    type Key = (String, String);
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Place",
        doc: "A place.",
        collection: "/place",
        item: "/place/{country}/{name}",
        topic: "place",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[::memgen::state::Crud::Get],
        key_fields: &["country", "name"],
        key_names: &["country", "name"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> (String, String) {
        (
            ::core::clone::Clone::clone(&self.country),
            ::core::clone::Clone::clone(&self.name),
        )
    }
    fn write_key(key: &(String, String), writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<String>(&key.0);
        writer.part::<String>(&key.1);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<(String, String), ::memgen::key::KeyError> {
        ::core::result::Result::Ok((
            reader.part::<String>("country")?,
            reader.part::<String>("name")?,
        ))
    }
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
#[allow(clippy::needless_pass_by_value)]
pub fn sighted(entry: &mut Entry<Place>, sighting: Sighting) {
    if let Some(place) = entry.get_mut() {
        place.seen += sighting.r#type;
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub struct sighted {}
#[automatically_derived]
impl ::memgen::private::Part for sighted {}
#[automatically_derived]
impl ::memgen::private::EventHandler for sighted {
    fn input() -> ::memgen::private::Input {
        ::memgen::private::Input::entries::<
            Place,
            Sighting,
        >(
            ::memgen::private::Declared {
                name: "sighted",
                topic: "sightings",
                dead_letters: ::core::option::Option::None,
                externals: &[],
            },
            ::memgen::private::Format::<Sighting>::json(),
            ::core::option::Option::Some(|event: &Sighting| (
                ::core::clone::Clone::clone(&event.spot.country),
                ::core::clone::Clone::clone(&event.spot.name),
            )),
            |
                changes: &mut ::memgen::Entry<Place>,
                event: Sighting,
                _: &::memgen::private::Externals,
            | -> ::memgen::private::Response {
                {
                    sighted(changes, event);
                    ::memgen::private::reply::nothing()
                }
            },
        )
    }
}
/// Forgets a place.
#[allow(clippy::needless_pass_by_value)]
pub fn forgotten(entry: &mut Entry<Place>, _: Vec<u8>) -> Option<u64> {
    entry.remove().map(|place| place.seen)
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub struct forgotten {}
#[automatically_derived]
impl ::memgen::private::Part for forgotten {}
#[automatically_derived]
impl ::memgen::private::EventHandler for forgotten {
    fn input() -> ::memgen::private::Input {
        ::memgen::private::Input::entries::<
            Place,
            Vec<u8>,
        >(
            ::memgen::private::Declared {
                name: "forgotten",
                topic: "forgotten",
                dead_letters: ::core::option::Option::None,
                externals: &[],
            },
            ::memgen::private::Format::<Vec<u8>>::bytes(),
            ::core::option::Option::None,
            |
                changes: &mut ::memgen::Entry<Place>,
                event: Vec<u8>,
                _: &::memgen::private::Externals,
            | -> ::memgen::private::Response {
                match forgotten(changes, event) {
                    ::core::option::Option::Some(value) => {
                        use ::memgen::private::reply::dispatch::*;
                        let reply: u64 = value;
                        (&&&&::memgen::private::reply::Probe::<u64>::new())
                            .memgen_reply()
                            .respond(reply)
                    }
                    ::core::option::Option::None => ::memgen::private::reply::missing(),
                }
            },
        )
    }
}
/// Forgets a place as well.
///
/// # Errors
/// If there can't be such a place.
#[allow(clippy::needless_pass_by_value)]
#[allow(clippy::unused_async)]
pub async fn closed(tx: &mut Tx, sighting: Sighting) -> Result<NoContent, NotFound> {
    let key = (sighting.spot.country, sighting.spot.name);
    let deleted = tx.delete::<Place>(&key);
    deleted.map_err(|_| NotFound::new("no such place"))?;
    Ok(NoContent)
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub struct closed {}
#[automatically_derived]
impl ::memgen::private::Part for closed {}
#[automatically_derived]
impl ::memgen::private::EventHandler for closed {
    fn input() -> ::memgen::private::Input {
        ::memgen::private::Input::transactions::<
            Sighting,
        >(
            ::memgen::private::Declared {
                name: "closed",
                topic: "closed",
                dead_letters: ::core::option::Option::Some("strange"),
                externals: &[],
            },
            ::memgen::private::Format::<Sighting>::json(),
            ::core::option::Option::Some(|event: &Sighting| {
                [::std::string::ToString::to_string(&event.r#type)].join("/")
            }),
            |
                event: Sighting,
                changes: &mut ::memgen::Tx,
                _: &::memgen::private::Externals|
            {
                ::std::boxed::Box::pin(async move {
                    match closed(changes, event).await {
                        ::core::result::Result::Ok(value) => {
                            use ::memgen::private::reply::dispatch::*;
                            let reply: NoContent = value;
                            (&&&&::memgen::private::reply::Probe::<NoContent>::new())
                                .memgen_reply()
                                .respond(reply)
                        }
                        ::core::result::Result::Err(error) => {
                            ::memgen::private::reply::error::<NotFound>(error)
                        }
                    }
                })
            },
        )
    }
}
