//! Free functions.
use memgen::prelude::*;
/// What handlers may ask for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Vertex {
    id: u32,
}
#[automatically_derived]
impl ::memgen::private::Part for Vertex {}
#[automatically_derived]
impl ::memgen::State for Vertex {
    type Key = u32;
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Vertex",
        doc: "What handlers may ask for.",
        collection: "/vertex",
        item: "/vertex/{id}",
        topic: "vertex",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[],
        key_fields: &["id"],
        key_names: &["id"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> u32 {
        ::core::clone::Clone::clone(&self.id)
    }
    fn write_key(key: &u32, writer: &mut ::memgen::key::KeyWriter<'_>) {
        writer.part::<u32>(key);
    }
    fn read_key(
        reader: &mut ::memgen::key::KeyReader<'_>,
    ) -> ::core::result::Result<u32, ::memgen::key::KeyError> {
        reader.part::<u32>("id")
    }
}
/// Connects two vertices.
///
/// # Errors
/// None so far.
#[allow(clippy::needless_pass_by_value)]
pub async fn connect(_vertices: Store<Vertex>, a: u32, b: u32) -> Result<SeeOther> {
    std::future::ready(()).await;
    Ok(SeeOther::to(format!("/vertex/{a}?to={b}")))
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub struct connect {}
#[automatically_derived]
impl ::memgen::private::Part for connect {}
#[automatically_derived]
impl ::memgen::private::FreeHandler for connect {
    fn route() -> ::memgen::private::Route {
        ::memgen::private::Route {
            method: ::memgen::private::Method::POST,
            path: "/connect/{a}/{b}",
            name: "connect",
            doc: "Connects two vertices.\n\n# Errors\nNone so far.",
            call: |call| ::std::boxed::Box::pin(async move {
                #[allow(unused_mut)]
                let mut call = call.free().await?;
                let arg0_vertices: Store<Vertex> = call.part::<Store<Vertex>>().await?;
                let arg1_a: u32 = call.path::<u32>("a")?;
                let arg2_b: u32 = call.path::<u32>("b")?;
                call.answer(async move {
                        match connect(arg0_vertices, arg1_a, arg2_b).await {
                            ::core::result::Result::Ok(value) => {
                                use ::memgen::private::reply::dispatch::*;
                                let reply: SeeOther = value;
                                (&&&&::memgen::private::reply::Probe::<SeeOther>::new())
                                    .memgen_reply()
                                    .respond(reply)
                            }
                            ::core::result::Result::Err(error) => {
                                ::memgen::private::reply::error(error)
                            }
                        }
                    })
                    .await
            }),
            describe: |operation| {
                operation.path_parameter::<u32>("a");
                operation.path_parameter::<u32>("b");
                {
                    use ::memgen::private::reply::dispatch::*;
                    (&&&&::memgen::private::reply::Probe::<SeeOther>::new())
                        .memgen_describe(operation);
                }
            },
            externals: &[],
        }
    }
    fn states() -> ::std::vec::Vec<&'static str> {
        ::std::vec::Vec::from([<Vertex as ::memgen::State>::DEFINITION.name])
    }
}
#[allow(clippy::needless_pass_by_value)]
fn index() -> &'static str {
    "hello"
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
struct index {}
#[automatically_derived]
impl ::memgen::private::Part for index {}
#[automatically_derived]
impl ::memgen::private::FreeHandler for index {
    fn route() -> ::memgen::private::Route {
        ::memgen::private::Route {
            method: ::memgen::private::Method::GET,
            path: "/",
            name: "index",
            doc: "",
            call: |call| ::std::boxed::Box::pin(async move {
                #[allow(unused_mut)]
                let mut call = call.free().await?;
                call.answer(async move {
                        {
                            use ::memgen::private::reply::dispatch::*;
                            let reply: &'static str = index();
                            (&&&&::memgen::private::reply::Probe::<&'static str>::new())
                                .memgen_reply()
                                .respond(reply)
                        }
                    })
                    .await
            }),
            describe: |operation| {
                {
                    use ::memgen::private::reply::dispatch::*;
                    (&&&&::memgen::private::reply::Probe::<&'static str>::new())
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
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn names_of_the_macro(
    call: u8,
    operation: u8,
    value: u8,
    r#type: Json<u8>,
) -> u8 {
    call + operation + value + r#type.0
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub(crate) struct names_of_the_macro {}
#[automatically_derived]
impl ::memgen::private::Part for names_of_the_macro {}
#[automatically_derived]
impl ::memgen::private::FreeHandler for names_of_the_macro {
    fn route() -> ::memgen::private::Route {
        ::memgen::private::Route {
            method: ::memgen::private::Method::PUT,
            path: "/{call}/{operation}/{value}",
            name: "names_of_the_macro",
            doc: "",
            call: |call| ::std::boxed::Box::pin(async move {
                #[allow(unused_mut)]
                let mut call = call.free().await?;
                let arg0_call: u8 = call.path::<u8>("call")?;
                let arg1_operation: u8 = call.path::<u8>("operation")?;
                let arg2_value: u8 = call.path::<u8>("value")?;
                let arg3_type: Json<u8> = call.json::<u8>().await?;
                call.answer(async move {
                        {
                            use ::memgen::private::reply::dispatch::*;
                            let reply: u8 = names_of_the_macro(
                                arg0_call,
                                arg1_operation,
                                arg2_value,
                                arg3_type,
                            );
                            (&&&&::memgen::private::reply::Probe::<u8>::new())
                                .memgen_reply()
                                .respond(reply)
                        }
                    })
                    .await
            }),
            describe: |operation| {
                operation.path_parameter::<u8>("call");
                operation.path_parameter::<u8>("operation");
                operation.path_parameter::<u8>("value");
                operation.body::<u8>();
                {
                    use ::memgen::private::reply::dispatch::*;
                    (&&&&::memgen::private::reply::Probe::<u8>::new())
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
#[allow(clippy::needless_pass_by_value)]
async fn delete_everything() {
    std::future::ready(()).await;
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
struct delete_everything {}
#[automatically_derived]
impl ::memgen::private::Part for delete_everything {}
#[automatically_derived]
impl ::memgen::private::FreeHandler for delete_everything {
    fn route() -> ::memgen::private::Route {
        ::memgen::private::Route {
            method: ::memgen::private::Method::DELETE,
            path: "/everything",
            name: "delete_everything",
            doc: "",
            call: |call| ::std::boxed::Box::pin(async move {
                #[allow(unused_mut)]
                let mut call = call.free().await?;
                call.answer(async move {
                        {
                            delete_everything().await;
                            ::memgen::private::reply::nothing()
                        }
                    })
                    .await
            }),
            describe: |operation| {
                ::memgen::private::reply::describe_nothing(operation);
            },
            externals: &[],
        }
    }
    fn states() -> ::std::vec::Vec<&'static str> {
        ::std::vec::Vec::new()
    }
}
