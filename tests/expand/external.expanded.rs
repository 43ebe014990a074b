//! What others write, and functions that look things up in it.
use memgen::prelude::*;
/// How much of a currency is worth another one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// The one.
    pub from: String,
    /// The other.
    pub to: String,
    /// How much.
    pub factor: f64,
}
#[automatically_derived]
impl ::memgen::private::Part for Rate {}
#[automatically_derived]
impl ::memgen::ExternalState for Rate {
    type Key = (String, String);
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Rate",
        doc: "How much of a currency is worth another one.",
        collection: "/rate",
        item: "/rate/{from}/{to}",
        topic: "rates",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[::memgen::state::Crud::Get, ::memgen::state::Crud::List],
        key_fields: &["from", "to"],
        key_names: &["from", "to"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> (String, String) {
        (::core::clone::Clone::clone(&self.from), ::core::clone::Clone::clone(&self.to))
    }
    fn write_key(key: &(String, String), writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<String>(&key.0);
        writer.part::<String>(&key.1);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<(String, String), ::memgen::key::KeyError> {
        ::core::result::Result::Ok((
            reader.part::<String>("from")?,
            reader.part::<String>("to")?,
        ))
    }
    fn values() -> ::memgen::private::Values<Self> {
        ::memgen::private::Values::<Rate>::json()
    }
}
/// What is closed today.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// The bank.
    pub bank: u32,
}
#[automatically_derived]
impl ::memgen::private::Part for Closed {}
#[automatically_derived]
impl ::memgen::ExternalState for Closed {
    type Key = u32;
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Closed",
        doc: "What is closed today.",
        collection: "/external",
        item: "/external/{bank}",
        topic: "closed",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[],
        key_fields: &["bank"],
        key_names: &["bank"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> u32 {
        ::core::clone::Clone::clone(&self.bank)
    }
    fn write_key(key: &u32, writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<u32>(key);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<u32, ::memgen::key::KeyError> {
        reader.part::<u32>("bank")
    }
    fn values() -> ::memgen::private::Values<Self> {
        ::memgen::private::Values::<Closed>::json()
    }
}
/// What somebody has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Purse {
    /// Whose it is.
    pub owner: String,
    /// How much.
    pub amount: f64,
}
#[automatically_derived]
impl ::memgen::private::Part for Purse {}
#[automatically_derived]
impl ::memgen::State for Purse {
    type Key = String;
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Purse",
        doc: "What somebody has.",
        collection: "/purse",
        item: "/purse/{owner}",
        topic: "purse",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[],
        key_fields: &["owner"],
        key_names: &["owner"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> String {
        ::core::clone::Clone::clone(&self.owner)
    }
    fn write_key(key: &String, writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<String>(key);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<String, ::memgen::key::KeyError> {
        reader.part::<String>("owner")
    }
}
impl Purse {
    /// What it is worth.
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn worth(&self, rates: External<Rate>, currency: String) -> Option<f64> {
        let key = ("EUR".to_owned(), currency);
        Some(self.amount * rates.get(&key)?.factor)
    }
}
#[automatically_derived]
impl ::memgen::private::Handlers for Purse {
    fn routes() -> ::std::vec::Vec<::memgen::private::Route> {
        ::std::vec::Vec::from([
            ::memgen::private::Route {
                method: ::memgen::private::Method::GET,
                path: "/{owner}/in/{currency}",
                name: "worth",
                doc: "What it is worth.",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Purse>().await?;
                    let arg0_rates: External<Rate> = call
                        .part::<External<Rate>>()
                        .await?;
                    let arg1_currency: String = call.path::<String>("currency")?;
                    call.query(move |target: &Purse| -> ::memgen::private::Response {
                            match <Purse>::worth(target, arg0_rates, arg1_currency) {
                                ::core::option::Option::Some(value) => {
                                    use ::memgen::private::reply::dispatch::*;
                                    let reply: f64 = value;
                                    (&&&&::memgen::private::reply::Probe::<f64>::new())
                                        .memgen_reply()
                                        .respond(reply)
                                }
                                ::core::option::Option::None => {
                                    ::memgen::private::reply::missing()
                                }
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    operation.path_parameter::<String>("currency");
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<f64>::new())
                            .memgen_describe(operation);
                    }
                    ::memgen::private::reply::describe_missing(operation);
                },
                externals: const {
                    &[<Rate as ::memgen::ExternalState>::DEFINITION.name]
                },
            },
        ])
    }
}
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Purse as ::memgen::State >
    ::DEFINITION, "/{owner}/in/{currency}"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Purse as ::memgen::State >
    ::DEFINITION, "owner"), "{}",
    "`{owner}` is neither a key field nor an argument of its name: add an argument, like `owner: u32`"
);
/// How many banks are closed, and rates known, to who has a purse.
///
/// # Errors
/// If that can't be read.
#[allow(clippy::needless_pass_by_value)]
pub async fn closed(
    tx: &Tx,
    closed: External<Closed>,
    rates: External<Rate>,
    owner: String,
) -> Result<Option<usize>> {
    let purse = tx.get::<Purse>(&owner).await?;
    Ok(purse.map(|_| closed.range(..).count() + rates.range(..).count()))
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub struct closed {}
#[automatically_derived]
impl ::memgen::private::Part for closed {}
#[automatically_derived]
impl ::memgen::private::FreeHandler for closed {
    fn route() -> ::memgen::private::Route {
        ::memgen::private::Route {
            method: ::memgen::private::Method::GET,
            path: "/closed/{owner}",
            name: "closed",
            doc: "How many banks are closed, and rates known, to who has a purse.\n\n# Errors\nIf that can't be read.",
            call: |call| ::std::boxed::Box::pin(async move {
                #[allow(unused_mut)]
                let mut call = call.free().await?;
                call.transact(|call, tx| ::std::boxed::Box::pin(async move {
                        let arg0_tx: &Tx = &*tx;
                        let arg1_closed: External<Closed> = call
                            .part::<External<Closed>>()
                            .await?;
                        let arg2_rates: External<Rate> = call
                            .part::<External<Rate>>()
                            .await?;
                        let arg3_owner: String = call.path::<String>("owner")?;
                        ::std::result::Result::Ok(
                            match closed(arg0_tx, arg1_closed, arg2_rates, arg3_owner)
                                .await
                            {
                                ::core::result::Result::Ok(value) => {
                                    match value {
                                        ::core::option::Option::Some(value) => {
                                            use ::memgen::private::reply::dispatch::*;
                                            let reply: usize = value;
                                            (&&&&::memgen::private::reply::Probe::<usize>::new())
                                                .memgen_reply()
                                                .respond(reply)
                                        }
                                        ::core::option::Option::None => {
                                            ::memgen::private::reply::missing()
                                        }
                                    }
                                }
                                ::core::result::Result::Err(error) => {
                                    ::memgen::private::reply::error(error)
                                }
                            },
                        )
                    }))
                    .await
            }),
            describe: |operation| {
                operation.path_parameter::<String>("owner");
                {
                    use ::memgen::private::reply::dispatch::*;
                    (&&&&::memgen::private::reply::Probe::<usize>::new())
                        .memgen_describe(operation);
                }
                ::memgen::private::reply::describe_missing(operation);
            },
            externals: const {
                &[
                    <Closed as ::memgen::ExternalState>::DEFINITION.name,
                    <Rate as ::memgen::ExternalState>::DEFINITION.name,
                ]
            },
        }
    }
    fn states() -> ::std::vec::Vec<&'static str> {
        ::std::vec::Vec::new()
    }
}
/// Something was earned.
#[derive(Clone, Debug, Deserialize)]
pub struct Earned {
    /// By whom.
    pub owner: String,
}
/// Counts it.
#[allow(clippy::needless_pass_by_value)]
pub fn earned(
    entry: &mut Entry<Purse>,
    _: Earned,
    rates: External<Rate>,
    banks: External<Closed>,
) {
    if let Some(purse) = entry.get_mut() && banks.get(&7).is_none() {
        purse.amount += rates.staleness().as_secs_f64();
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub struct earned {}
#[automatically_derived]
impl ::memgen::private::Part for earned {}
#[automatically_derived]
impl ::memgen::private::EventHandler for earned {
    fn input() -> ::memgen::private::Input {
        ::memgen::private::Input::entries::<
            Purse,
            Earned,
        >(
            ::memgen::private::Declared {
                name: "earned",
                topic: "earned",
                dead_letters: ::core::option::Option::None,
                externals: const {
                    &[
                        <Rate as ::memgen::ExternalState>::DEFINITION.name,
                        <Closed as ::memgen::ExternalState>::DEFINITION.name,
                    ]
                },
            },
            ::memgen::private::Format::<Earned>::json(),
            ::core::option::Option::Some(|event: &Earned| ::core::clone::Clone::clone(
                &event.owner,
            )),
            |
                changes: &mut ::memgen::Entry<Purse>,
                event: Earned,
                externals: &::memgen::private::Externals,
            | -> ::memgen::private::Response {
                let external0 = externals.argument::<Rate>();
                let external1 = externals.argument::<Closed>();
                {
                    earned(changes, event, external0, external1);
                    ::memgen::private::reply::nothing()
                }
            },
        )
    }
}
/// Forgets it.
///
/// # Errors
/// If there can't be such a purse.
#[allow(clippy::needless_pass_by_value)]
#[allow(clippy::unused_async)]
pub async fn lost(
    tx: &mut Tx,
    event: Earned,
    banks: External<Closed>,
) -> Result<NoContent, NotFound> {
    if banks.get(&7).is_none() {
        let deleted = tx.delete::<Purse>(&event.owner);
        deleted.map_err(|_| NotFound::new("no such purse"))?;
    }
    Ok(NoContent)
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub struct lost {}
#[automatically_derived]
impl ::memgen::private::Part for lost {}
#[automatically_derived]
impl ::memgen::private::EventHandler for lost {
    fn input() -> ::memgen::private::Input {
        ::memgen::private::Input::transactions::<
            Earned,
        >(
            ::memgen::private::Declared {
                name: "lost",
                topic: "lost",
                dead_letters: ::core::option::Option::None,
                externals: const {
                    &[<Closed as ::memgen::ExternalState>::DEFINITION.name]
                },
            },
            ::memgen::private::Format::<Earned>::json(),
            ::core::option::Option::Some(|event: &Earned| {
                [::std::string::ToString::to_string(&event.owner)].join("/")
            }),
            |
                event: Earned,
                changes: &mut ::memgen::Tx,
                externals: &::memgen::private::Externals|
            {
                let external0 = externals.argument::<Closed>();
                ::std::boxed::Box::pin(async move {
                    match lost(changes, event, external0).await {
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
