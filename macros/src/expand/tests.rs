//! Goldens: `tests/expand/<name>.rs` expands to `tests/expand/<name>.expanded.rs`, which the tests crate compiles.
//! `EXPECT=overwrite cargo test -p memgen-macros` writes them anew.

use std::{fs, path::Path};

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Attribute, File, Item, Meta};

use super::{external, handler, handlers, on_event, stateful_api};

type Macro = fn(TokenStream, TokenStream) -> TokenStream;

/// The macro of an attribute.
fn ours(attribute: &Attribute) -> Option<Macro> {
    match attribute.path().get_ident()?.to_string().as_str() {
        "stateful_api" => Some(stateful_api),
        "handlers" => Some(handlers),
        "handler" => Some(handler),
        "on_event" => Some(on_event),
        "external" => Some(external),
        _ => None,
    }
}

fn attributes(item: &mut Item) -> Option<&mut Vec<Attribute>> {
    match item {
        Item::Struct(item) => Some(&mut item.attrs),
        Item::Enum(item) => Some(&mut item.attrs),
        Item::Impl(item) => Some(&mut item.attrs),
        Item::Fn(item) => Some(&mut item.attrs),
        _ => None,
    }
}

/// Expands each item of a file as the compiler would.
fn expand(source: &str) -> String {
    let mut file: File = syn::parse_str(source).expect("the source is Rust");
    let mut expanded = TokenStream::new();
    for item in &mut file.items {
        let found = attributes(item).and_then(|attributes| {
            let at = attributes
                .iter()
                .position(|attribute| ours(attribute).is_some())?;
            Some(attributes.remove(at))
        });
        let tokens = item.to_token_stream();
        expanded.extend(match found {
            None => tokens,
            Some(attribute) => {
                let arguments = match &attribute.meta {
                    Meta::List(list) => list.tokens.clone(),
                    _ => TokenStream::new(),
                };
                ours(&attribute).expect("it was found by this")(arguments, tokens)
            }
        });
    }
    file.items = syn::parse2::<File>(expanded)
        .expect("an expansion is Rust")
        .items;
    prettyplease::unparse(&file)
}

#[test]
fn goldens() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/expand"));
    let overwrite = std::env::var_os("EXPECT").is_some_and(|value| value == "overwrite");
    let mut seen = 0;
    let mut different = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is a part of the repository") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(stem) = name
            .strip_suffix(".rs")
            .filter(|stem| !stem.ends_with(".expanded"))
        else {
            continue;
        };
        seen += 1;
        let source = fs::read_to_string(&path).expect("the source can be read");
        let expanded = expand(&source);
        let golden = folder.join(format!("{stem}.expanded.rs"));
        if overwrite {
            fs::write(&golden, expanded).expect("the golden can be written");
        } else if fs::read_to_string(&golden).unwrap_or_default() != expanded {
            different.push(format!("{}:\n{expanded}", golden.display()));
        }
    }
    assert!(seen > 0, "there are goldens");
    assert!(
        different.is_empty(),
        "expansions have changed; read the difference and run with EXPECT=overwrite\n{}",
        different.join("\n")
    );
}

/// Items of all kinds, right and wrong, in all places: the macros answer, and what they answer is Rust.
#[test]
#[allow(clippy::too_many_lines, reason = "rows of data")]
fn no_input_makes_a_macro_panic() {
    let arguments = [
        quote!(),
        quote!(path = "/x"),
        quote!(get, "/x"),
        quote!(= = =),
        quote!(((({}))),,),
        quote!(path = , crud = ),
        quote!(crud(,), path),
        quote!("x" "y"),
        quote!(get, get),
        quote!(topic = "t", key = "a, b.c", format = "json"),
        quote!(path = "/{}/{a}/{a}/", partitions = 0, topic = "", crud()),
    ];
    let items = [
        quote!(),
        quote!(
            struct A;
        ),
        quote!(
            struct A();
        ),
        quote!(
            struct A {}
        ),
        quote!(
            struct A<'a, T>
            where
                T: Copy,
            {
                #[key]
                #[key(x)]
                #[partition_by]
                a: &'a T,
                #[crud]
                b: Vec<T>,
            }
        ),
        quote!(
            enum A {
                #[key]
                B,
            }
        ),
        quote!(union A { a: u8 }),
        quote!(
            type A = u8;
        ),
        quote!(
            mod a {
                fn b() {}
            }
        ),
        quote!(
            trait A {
                #[get("/x")]
                fn a(&self);
            }
        ),
        quote!(impl A {}),
        quote!(
            impl<T> B for A<T> {
                #[get]
                #[post("")]
                fn a<T>((a, b): (u8, u8), _: impl Copy) -> impl Copy {}
            }
        ),
        quote!(impl A { #[get("/{id}")] const A: u8 = 0; #[put = "x"] fn b(self: Box<Self>, ...) -> Result {} }),
        quote!(impl [u8] { #[get(x)] fn a(entry: &mut Entry, entry: Entry<B>, a: &_) -> Option {} }),
        quote!(
            fn a() {}
        ),
        quote!(
            async unsafe extern "C" fn a<T>(
                self,
                a: Json<A>,
                b: Json,
                c: Path<(A, B)>,
                d: Entry<A>,
            ) -> impl Copy {
            }
        ),
        quote!(
            async fn a(tx: &mut Tx, (b, c): A) -> Result<()> {}
        ),
        quote!(
            const A: u8 = 0;
        ),
        quote!(
            use a::b;
        ),
        quote!(a! {}),
        quote!(not rust at all),
    ];
    let macros: [Macro; 5] = [stateful_api, external, handlers, handler, on_event];
    for expand in macros {
        for argument in &arguments {
            for item in &items {
                let expanded = expand(argument.clone(), item.clone());
                if syn::parse2::<File>(item.clone()).is_ok() {
                    syn::parse2::<File>(expanded.clone())
                        .unwrap_or_else(|error| panic!("{error}: {argument} {item} -> {expanded}"));
                }
            }
        }
    }
}
