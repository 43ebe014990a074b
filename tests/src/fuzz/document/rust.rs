//! Whether files of Rust could compile, without a compiler: a crate takes seconds, and there are thousands.
//!
//! They are Rust; no name is there twice; each type that is named is there; and no type holds itself without a `Box` between.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use memgen_cli::emit::File;
use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Fields, GenericArgument, Ident, Item, ItemEnum, PathArguments, Token, TraitItem,
    Type, Visibility,
    parse::{ParseStream, Parser as _},
    punctuated::Punctuated,
};

/// Types that nobody needs to declare.
const KNOWN: [&str; 31] = [
    "bool",
    "f64",
    "i32",
    "i64",
    "u32",
    "u64",
    "Base64",
    "BTreeMap",
    "Box",
    "Bytes",
    "Cx",
    "Date",
    "DateTime",
    "Decimal",
    "EventStream",
    "File",
    "Json",
    "Option",
    "Result",
    "Self",
    "StatusCode",
    "String",
    "Uuid",
    "Value",
    "Vec",
    "Service",
    "Handlers",
    "str",
    "usize",
    "memgen",
    "Principal",
];

/// What is declared, and of which types each consists.
#[derive(Default)]
struct Crate {
    /// Of each type: those that are inside of it, with nothing between.
    holds: BTreeMap<String, BTreeSet<String>>,
    /// Each type that is named, and where.
    named: BTreeMap<String, String>,
}

/// What is wrong with the generated files of Rust, if something is.
pub(super) fn check(files: &[File]) -> Result<(), String> {
    let mut all = Crate::default();
    for file in files {
        let rust = Path::new(&file.path)
            .extension()
            .is_some_and(|it| it == "rs");
        if !rust {
            continue;
        }
        // What users begin with is Rust, too; and each of their files has names of its own.
        let outcome = if file.path.starts_with("src/generated/") {
            all.file(file)
        } else {
            Crate::default().file(file)
        };
        outcome.map_err(|why| format!("{}: {why}", file.path))?;
    }
    for (name, place) in &all.named {
        if !all.holds.contains_key(name) && !KNOWN.contains(&name.as_str()) {
            return Err(format!("`{name}` in {place} is no type"));
        }
    }
    let mut done = BTreeSet::new();
    for name in all.holds.keys() {
        all.circle(name, &mut Vec::new(), &mut done)?;
    }
    Ok(())
}

impl Crate {
    fn file(&mut self, file: &File) -> Result<(), String> {
        let syntax =
            syn::parse_file(&file.text).map_err(|error| format!("it is no Rust: {error}"))?;
        let mut modules = BTreeSet::new();
        for item in syntax.items {
            match item {
                Item::Struct(item) => {
                    let name = item.ident.to_string();
                    self.declare(&name)?;
                    self.fields(&name, &item.fields)?;
                }
                Item::Enum(item) => self.choice(&item)?,
                Item::Trait(item) => {
                    let name = item.ident.to_string();
                    self.declare(&name)?;
                    let mut methods = BTreeSet::new();
                    for item in item.items {
                        let TraitItem::Fn(method) = item else {
                            continue;
                        };
                        let method_name = method.sig.ident.to_string();
                        for input in &method.sig.inputs {
                            if let syn::FnArg::Typed(input) = input {
                                self.ty(&format!("{name}::{method_name}"), &input.ty, false);
                            }
                        }
                        unique(&mut methods, method_name)?;
                    }
                }
                Item::Mod(item) => unique(&mut modules, item.ident.to_string())?,
                // `memgen::union! { pub enum A by "kind" { B(C) = "b" } }`
                Item::Macro(item) if is_enum(&item.mac.path) => self.macros(item.mac.tokens)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// An enum in a macro, with what only the macro understands left out.
    fn macros(&mut self, tokens: TokenStream) -> Result<(), String> {
        let read = |input: ParseStream<'_>| {
            input.call(Attribute::parse_outer)?;
            input.parse::<Visibility>()?;
            input.parse::<Token![enum]>()?;
            let name: Ident = input.parse()?;
            while !input.peek(syn::token::Brace) {
                input.parse::<TokenTree>()?;
            }
            let inner;
            syn::braced!(inner in input);
            let mut variants = Vec::new();
            while !inner.is_empty() {
                inner.call(Attribute::parse_outer)?;
                let name: Ident = inner.parse()?;
                let mut types = Punctuated::<Type, Token![,]>::new();
                if inner.peek(syn::token::Paren) {
                    let types_in;
                    syn::parenthesized!(types_in in inner);
                    types = Punctuated::parse_terminated(&types_in)?;
                }
                variants.push((name, types));
                while !inner.is_empty() && !inner.peek(Token![,]) {
                    inner.parse::<TokenTree>()?;
                }
                let _: Option<Token![,]> = inner.parse()?;
            }
            Ok((name.to_string(), variants))
        };
        let (name, variants) = read.parse2(tokens).map_err(|error| error.to_string())?;
        self.declare(&name)?;
        let mut names = BTreeSet::new();
        for (variant, types) in variants {
            unique(&mut names, format!("{name}::{variant}"))?;
            for ty in &types {
                self.ty(&name, ty, true);
            }
        }
        Ok(())
    }

    fn choice(&mut self, item: &ItemEnum) -> Result<(), String> {
        let name = item.ident.to_string();
        self.declare(&name)?;
        let mut variants = BTreeSet::new();
        for variant in &item.variants {
            unique(&mut variants, format!("{name}::{}", variant.ident))?;
            self.fields(&name, &variant.fields)?;
        }
        Ok(())
    }

    fn declare(&mut self, name: &str) -> Result<(), String> {
        match self.holds.insert(name.to_owned(), BTreeSet::new()) {
            None => Ok(()),
            Some(_) => Err(format!("`{name}` is there twice")),
        }
    }

    fn fields(&mut self, of: &str, fields: &Fields) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for field in fields {
            if let Some(ident) = &field.ident {
                unique(&mut names, format!("{of}.{ident}"))?;
            }
            self.ty(of, &field.ty, true);
        }
        Ok(())
    }

    /// A type that is named in another one. `direct`: there is nothing between.
    fn ty(&mut self, of: &str, ty: &Type, direct: bool) {
        let Type::Path(path) = ty else { return };
        // What comes from elsewhere by its path is there.
        let Some(last) = path
            .path
            .segments
            .last()
            .filter(|_| path.path.segments.len() == 1)
        else {
            return;
        };
        let name = last.ident.to_string();
        let direct = direct && !["Vec", "Box", "BTreeMap", "EventStream"].contains(&name.as_str());
        if let PathArguments::AngleBracketed(inner) = &last.arguments {
            for inner in &inner.args {
                if let GenericArgument::Type(inner) = inner {
                    self.ty(of, inner, direct);
                }
            }
        }
        if direct && let Some(holds) = self.holds.get_mut(of) {
            holds.insert(name.clone());
        }
        self.named.entry(name).or_insert_with(|| of.to_owned());
    }

    fn circle(
        &self,
        name: &str,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Result<(), String> {
        if way.iter().any(|it| it == name) {
            return Err(format!("`{name}` holds itself: {}", way.join(" > ")));
        }
        if !done.contains(name) {
            way.push(name.to_owned());
            for inner in self.holds.get(name).into_iter().flatten() {
                self.circle(inner, way, done)?;
            }
            way.pop();
            done.insert(name.to_owned());
        }
        Ok(())
    }
}

/// Whether a macro of this path makes an enum.
fn is_enum(path: &syn::Path) -> bool {
    let last = path.segments.last();
    last.is_some_and(|last| last.ident == "union" || last.ident == "values")
}

fn unique(names: &mut BTreeSet<String>, name: String) -> Result<(), String> {
    match names.replace(name) {
        None => Ok(()),
        Some(name) => Err(format!("`{name}` is there twice")),
    }
}
