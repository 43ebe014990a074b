//! Names in the scope of the user that the macros must not take for others.
use memgen::prelude::{JsonSchema, handler, handlers, stateful_api};
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Option;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Vec;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Box;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct State;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Probe;
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Thing {
    key: u8,
    option: Option,
    vec: Vec,
    r#box: Box,
    state: State,
    probe: Probe,
}
#[automatically_derived]
impl ::memgen::private::Part for Thing {}
#[automatically_derived]
impl ::memgen::State for Thing {
    type Key = u8;
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Thing",
        doc: "",
        collection: "/things",
        item: "/things/{key}",
        topic: "thing",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[::memgen::state::Crud::Get],
        key_fields: &["key"],
        key_names: &["key"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> u8 {
        ::core::clone::Clone::clone(&self.key)
    }
    fn write_key(key: &u8, writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<u8>(key);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<u8, ::memgen::key::KeyError> {
        reader.part::<u8>("key")
    }
}
impl Thing {
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn routes(&self) -> Vec {
        self.vec.clone()
    }
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn write_key(&mut self, target: memgen::prelude::Query<Step>) -> State {
        self.key = target.call;
        self.state.clone()
    }
}
#[automatically_derived]
impl ::memgen::private::Handlers for Thing {
    fn routes() -> ::std::vec::Vec<::memgen::private::Route> {
        ::std::vec::Vec::from([
            ::memgen::private::Route {
                method: ::memgen::private::Method::GET,
                path: "/{key}/routes",
                name: "routes",
                doc: "",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Thing>().await?;
                    call.query(move |target: &Thing| -> ::memgen::private::Response {
                            {
                                use ::memgen::private::reply::dispatch::*;
                                let reply: Vec = <Thing>::routes(target);
                                (&&&&::memgen::private::reply::Probe::<Vec>::new())
                                    .memgen_reply()
                                    .respond(reply)
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<Vec>::new())
                            .memgen_describe(operation);
                    }
                },
                externals: &[],
            },
            ::memgen::private::Route {
                method: ::memgen::private::Method::PUT,
                path: "/{key}/key",
                name: "write_key",
                doc: "",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Thing>().await?;
                    let arg0_target: memgen::prelude::Query<Step> = call
                        .part::<memgen::prelude::Query<Step>>()
                        .await?;
                    call.update(move |target: &mut Thing| -> ::memgen::private::Response {
                            {
                                use ::memgen::private::reply::dispatch::*;
                                let reply: State = <Thing>::write_key(target, arg0_target);
                                (&&&&::memgen::private::reply::Probe::<State>::new())
                                    .memgen_reply()
                                    .respond(reply)
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    operation.query::<Step>();
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<State>::new())
                            .memgen_describe(operation);
                    }
                },
                externals: &[],
            },
        ])
    }
}
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Thing as ::memgen::State >
    ::DEFINITION, "/{key}/routes"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Thing as ::memgen::State >
    ::DEFINITION, "key"), "{}",
    "`{key}` is neither a key field nor an argument of its name: add an argument, like `key: u32`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Thing as ::memgen::State >
    ::DEFINITION, "/{key}/key"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Thing as ::memgen::State >
    ::DEFINITION, "key"), "{}",
    "`{key}` is neither a key field nor an argument of its name: add an argument, like `key: u32`"
);
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Step {
    call: u8,
}
#[allow(clippy::needless_pass_by_value)]
fn probe() -> Box {
    Box
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
struct probe {}
#[automatically_derived]
impl ::memgen::private::Part for probe {}
#[automatically_derived]
impl ::memgen::private::FreeHandler for probe {
    fn route() -> ::memgen::private::Route {
        ::memgen::private::Route {
            method: ::memgen::private::Method::GET,
            path: "/probe",
            name: "probe",
            doc: "",
            call: |call| ::std::boxed::Box::pin(async move {
                #[allow(unused_mut)]
                let mut call = call.free().await?;
                call.answer(async move {
                        {
                            use ::memgen::private::reply::dispatch::*;
                            let reply: Box = probe();
                            (&&&&::memgen::private::reply::Probe::<Box>::new())
                                .memgen_reply()
                                .respond(reply)
                        }
                    })
                    .await
            }),
            describe: |operation| {
                {
                    use ::memgen::private::reply::dispatch::*;
                    (&&&&::memgen::private::reply::Probe::<Box>::new())
                        .memgen_describe(operation);
                }
            },
            externals: &[],
        }
    }
    fn states() -> ::std::vec::Vec<&'static str> {
        ::std::vec::Vec::new()
    }
}
