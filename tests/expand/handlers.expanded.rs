//! Methods of a state: all forms, all kinds of arguments and replies.
use memgen::prelude::*;
/// A counter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    group: String,
    name: String,
    value: u64,
    labels: Vec<String>,
}
#[automatically_derived]
impl ::memgen::private::Part for Counter {}
#[automatically_derived]
impl ::memgen::State for Counter {
    type Key = (String, String);
    const DEFINITION: ::memgen::state::Definition = ::memgen::state::Definition {
        name: "Counter",
        doc: "A counter.",
        collection: "/groups/{group}/counters",
        item: "/groups/{group}/counters/{name}",
        topic: "counter",
        partitions: 1u32,
        global: false,
        ack: &[],
        crud: &[],
        key_fields: &["group", "name"],
        key_names: &["group", "name"],
        partition_by: &[],
        entity: ::core::option::Option::None,
    };
    fn key(&self) -> (String, String) {
        (
            ::core::clone::Clone::clone(&self.group),
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
            reader.part::<String>("group")?,
            reader.part::<String>("name")?,
        ))
    }
}
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
struct Step {
    by: u64,
}
impl Counter {
    /// What it stands at.
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn value(&self) -> u64 {
        self.value
    }
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn labels(&self) -> &[String] {
        &self.labels
    }
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn label(&self, at: usize) -> Option<&str> {
        self.labels.get(at).map(String::as_str)
    }
    /// Back to nothing.
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn reset(&mut self) {
        self.value = 0;
    }
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn multiply(&mut self, factor: u64) -> Result<u64, Conflict> {
        let product = self.value.checked_mul(factor);
        self.value = product.ok_or_else(|| Conflict::new("too large"))?;
        Ok(self.value)
    }
    /// Adds, from nothing if there is no such counter.
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn add(
        entry: &mut Entry<Self>,
        group: String,
        name: String,
        limit: Query<Step>,
        step: Json<Step>,
        _caller: Caller,
    ) -> Result<Created<u64>> {
        let counter = entry
            .or_insert_with(|| Self {
                group,
                name,
                value: 0,
                labels: Vec::new(),
            });
        counter.value = counter.value.saturating_add(step.by).min(limit.by);
        if counter.value == limit.by {
            return Err(Conflict::new("at the limit").into());
        }
        Ok(Created::new(counter.value))
    }
    #[cfg(test)]
    #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
    fn clear(&mut self) -> NoContent {
        self.labels.clear();
        NoContent
    }
    fn not_a_handler(&self) -> bool {
        self.labels.is_empty()
    }
}
#[automatically_derived]
impl ::memgen::private::Handlers for Counter {
    fn routes() -> ::std::vec::Vec<::memgen::private::Route> {
        ::std::vec::Vec::from([
            ::memgen::private::Route {
                method: ::memgen::private::Method::GET,
                path: "/{name}/value",
                name: "value",
                doc: "What it stands at.",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Counter>().await?;
                    call.query(move |target: &Counter| -> ::memgen::private::Response {
                            {
                                use ::memgen::private::reply::dispatch::*;
                                let reply: u64 = <Counter>::value(target);
                                (&&&&::memgen::private::reply::Probe::<u64>::new())
                                    .memgen_reply()
                                    .respond(reply)
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<u64>::new())
                            .memgen_describe(operation);
                    }
                },
                externals: &[],
            },
            ::memgen::private::Route {
                method: ::memgen::private::Method::GET,
                path: "/{name}/labels",
                name: "labels",
                doc: "",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Counter>().await?;
                    call.query(move |target: &Counter| -> ::memgen::private::Response {
                            {
                                use ::memgen::private::reply::dispatch::*;
                                let reply: &[String] = <Counter>::labels(target);
                                (&&&&::memgen::private::reply::Probe::<&[String]>::new())
                                    .memgen_reply()
                                    .respond(reply)
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<&[String]>::new())
                            .memgen_describe(operation);
                    }
                },
                externals: &[],
            },
            ::memgen::private::Route {
                method: ::memgen::private::Method::GET,
                path: "/{name}/label/{at}",
                name: "label",
                doc: "",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Counter>().await?;
                    let arg0_at: usize = call.path::<usize>("at")?;
                    call.query(move |target: &Counter| -> ::memgen::private::Response {
                            match <Counter>::label(target, arg0_at) {
                                ::core::option::Option::Some(value) => {
                                    use ::memgen::private::reply::dispatch::*;
                                    let reply: &str = value;
                                    (&&&&::memgen::private::reply::Probe::<&str>::new())
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
                    operation.path_parameter::<usize>("at");
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<&str>::new())
                            .memgen_describe(operation);
                    }
                    ::memgen::private::reply::describe_missing(operation);
                },
                externals: &[],
            },
            ::memgen::private::Route {
                method: ::memgen::private::Method::POST,
                path: "/{name}/reset",
                name: "reset",
                doc: "Back to nothing.",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Counter>().await?;
                    call.update(move |
                            target: &mut Counter,
                        | -> ::memgen::private::Response {
                            {
                                <Counter>::reset(target);
                                ::memgen::private::reply::nothing()
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    ::memgen::private::reply::describe_nothing(operation);
                },
                externals: &[],
            },
            ::memgen::private::Route {
                method: ::memgen::private::Method::PUT,
                path: "/{name}/times/{factor}",
                name: "multiply",
                doc: "",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Counter>().await?;
                    let arg0_factor: u64 = call.path::<u64>("factor")?;
                    call.update(move |
                            target: &mut Counter,
                        | -> ::memgen::private::Response {
                            match <Counter>::multiply(target, arg0_factor) {
                                ::core::result::Result::Ok(value) => {
                                    use ::memgen::private::reply::dispatch::*;
                                    let reply: u64 = value;
                                    (&&&&::memgen::private::reply::Probe::<u64>::new())
                                        .memgen_reply()
                                        .respond(reply)
                                }
                                ::core::result::Result::Err(error) => {
                                    ::memgen::private::reply::error::<Conflict>(error)
                                }
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    operation.path_parameter::<u64>("factor");
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<u64>::new())
                            .memgen_describe(operation);
                    }
                },
                externals: &[],
            },
            ::memgen::private::Route {
                method: ::memgen::private::Method::POST,
                path: "/{name}/add",
                name: "add",
                doc: "Adds, from nothing if there is no such counter.",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Counter>().await?;
                    let arg0_group: String = call.path::<String>("group")?;
                    let arg1_name: String = call.path::<String>("name")?;
                    let arg2_limit: Query<Step> = call.part::<Query<Step>>().await?;
                    let arg3_step: Json<Step> = call.json::<Step>().await?;
                    let arg4_caller: Caller = call.part::<Caller>().await?;
                    call.command(move |
                            target: &mut ::memgen::Entry<Counter>,
                        | -> ::memgen::private::Response {
                            match <Counter>::add(
                                target,
                                arg0_group,
                                arg1_name,
                                arg2_limit,
                                arg3_step,
                                arg4_caller,
                            ) {
                                ::core::result::Result::Ok(value) => {
                                    use ::memgen::private::reply::dispatch::*;
                                    let reply: Created<u64> = value;
                                    (&&&&::memgen::private::reply::Probe::<Created<u64>>::new())
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
                    operation.path_parameter::<String>("group");
                    operation.path_parameter::<String>("name");
                    operation.query::<Step>();
                    operation.body::<Step>();
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<Created<u64>>::new())
                            .memgen_describe(operation);
                    }
                },
                externals: &[],
            },
            #[cfg(test)]
            ::memgen::private::Route {
                method: ::memgen::private::Method::DELETE,
                path: "/{name}/labels",
                name: "clear",
                doc: "",
                call: |call| ::std::boxed::Box::pin(async move {
                    #[allow(unused_mut)]
                    let mut call = call.enter::<Counter>().await?;
                    call.update(move |
                            target: &mut Counter,
                        | -> ::memgen::private::Response {
                            {
                                use ::memgen::private::reply::dispatch::*;
                                let reply: NoContent = <Counter>::clear(target);
                                (&&&&::memgen::private::reply::Probe::<NoContent>::new())
                                    .memgen_reply()
                                    .respond(reply)
                            }
                        })
                        .await
                }),
                describe: |operation| {
                    {
                        use ::memgen::private::reply::dispatch::*;
                        (&&&&::memgen::private::reply::Probe::<NoContent>::new())
                            .memgen_describe(operation);
                    }
                },
                externals: &[],
            },
        ])
    }
}
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Counter as ::memgen::State >
    ::DEFINITION, "/{name}/value"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Counter as ::memgen::State >
    ::DEFINITION, "name"), "{}",
    "`{name}` is neither a key field nor an argument of its name: add an argument, like `name: u32`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Counter as ::memgen::State >
    ::DEFINITION, "/{name}/labels"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Counter as ::memgen::State >
    ::DEFINITION, "name"), "{}",
    "`{name}` is neither a key field nor an argument of its name: add an argument, like `name: u32`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Counter as ::memgen::State >
    ::DEFINITION, "/{name}/label/{at}"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Counter as ::memgen::State >
    ::DEFINITION, "name"), "{}",
    "`{name}` is neither a key field nor an argument of its name: add an argument, like `name: u32`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Counter as ::memgen::State >
    ::DEFINITION, "/{name}/reset"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Counter as ::memgen::State >
    ::DEFINITION, "name"), "{}",
    "`{name}` is neither a key field nor an argument of its name: add an argument, like `name: u32`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Counter as ::memgen::State >
    ::DEFINITION, "/{name}/times/{factor}"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Counter as ::memgen::State >
    ::DEFINITION, "name"), "{}",
    "`{name}` is neither a key field nor an argument of its name: add an argument, like `name: u32`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Counter as ::memgen::State >
    ::DEFINITION, "/{name}/add"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
const _: () = ::core::assert!(
    ::memgen::private::argument::is_placeholder(& < Counter as ::memgen::State >
    ::DEFINITION, "group"), "{}",
    "`group` is no placeholder of the path: add `/{group}` to the path, or take it from a `Query<T>` or a `Json<T>`"
);
#[cfg(test)]
const _: () = ::core::assert!(
    ::memgen::private::argument::has_all_key_fields(& < Counter as ::memgen::State >
    ::DEFINITION, "/{name}/labels"),
    "the path of a handler has a placeholder for each key field of its state, like `/{{id}}/edges` for the key `id`"
);
#[cfg(test)]
const _: () = ::core::assert!(
    ::memgen::private::argument::is_key_field(& < Counter as ::memgen::State >
    ::DEFINITION, "name"), "{}",
    "`{name}` is neither a key field nor an argument of its name: add an argument, like `name: u32`"
);
