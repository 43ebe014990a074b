//! Items -> our tree: the item cleaned of our attributes, and what they said.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Expr, ExprLit, Field, Fields, Generics, ImplItem, Item, ItemFn, ItemImpl, Lit, Meta,
    Signature, Type, ext::IdentExt as _, parse_quote, visit_mut::VisitMut,
};

use crate::{
    attr::RouteAttr,
    errors::Errors,
    near::nearest,
    symbols::{CRUD, ENTITY, GLOBAL, KEY, MIGRATE, Method, PARTITION_BY, PARTITIONS, TOPIC},
};

/// What `#[stateful_api]` stands on.
#[derive(Debug)]
pub(crate) struct StateItem {
    /// Without our attributes.
    pub(crate) item: Item,
    pub(crate) doc: String,
    /// `#[migrate(…)]`, and those that were probably meant as one.
    pub(crate) migrate: Vec<Attribute>,
    /// All attributes of the item, for those that change what JSON looks like.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) shape: StateShape,
}

/// Only one of the shapes is legal.
#[derive(Debug)]
pub(crate) enum StateShape {
    /// A struct with named fields.
    Named {
        ident: Ident,
        generics: Generics,
        fields: Vec<StateField>,
    },
    /// The tokens to point at, what it is, and its name if a stub can be made for it.
    Other {
        place: TokenStream,
        what: &'static str,
        ident: Option<Ident>,
    },
}

/// A field, with our attributes aside.
#[derive(Debug)]
pub(crate) struct StateField {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) key: Vec<Attribute>,
    pub(crate) partition_by: Vec<Attribute>,
    pub(crate) entity: Vec<Attribute>,
    /// Attributes that are probably meant for us.
    pub(crate) strays: Vec<Attribute>,
    pub(crate) others: Vec<Attribute>,
}

impl StateField {
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

impl StateItem {
    /// Whether a field is the entity of a document.
    pub(crate) fn has_entity(&self) -> bool {
        match &self.shape {
            StateShape::Named { fields, .. } => fields.iter().any(|field| !field.entity.is_empty()),
            StateShape::Other { .. } => false,
        }
    }

    pub(crate) fn read(mut item: Item) -> Self {
        let (mut doc, mut attributes) = (String::new(), Vec::new());
        let mut migrate = Vec::new();
        let shape = match &mut item {
            Item::Struct(item) => {
                item.attrs.retain(|attribute| {
                    let is = is_migrate(attribute);
                    migrate.extend(is.then(|| attribute.clone()));
                    !is
                });
                doc = doc_of(&item.attrs);
                attributes.clone_from(&item.attrs);
                let ident = item.ident.clone();
                match &item.fields {
                    Fields::Named(named) => StateShape::Named {
                        ident,
                        generics: item.generics.clone(),
                        fields: named.named.iter().filter_map(state_field).collect(),
                    },
                    Fields::Unnamed(_) => StateShape::Other {
                        place: ident.to_token_stream(),
                        what: "a struct without field names",
                        ident: item.generics.params.is_empty().then_some(ident),
                    },
                    Fields::Unit => StateShape::Other {
                        place: ident.to_token_stream(),
                        what: "a struct without fields",
                        ident: item.generics.params.is_empty().then_some(ident),
                    },
                }
            }
            Item::Enum(item) => other(item.enum_token, "an enum", &item.ident, &item.generics),
            Item::Union(item) => {
                let (token, ident) = (item.union_token, &item.ident);
                // No stub: a union can't derive what a state needs.
                StateShape::Other {
                    place: quote!(#token #ident),
                    what: "a union",
                    ident: None,
                }
            }
            Item::Type(item) => StateShape::Other {
                place: item.type_token.to_token_stream(),
                what: "a type alias",
                ident: None,
            },
            Item::Impl(item) => StateShape::Other {
                place: item.impl_token.to_token_stream(),
                what: "an `impl` block, which takes `#[handlers]`",
                ident: None,
            },
            Item::Fn(item) => StateShape::Other {
                place: item.sig.fn_token.to_token_stream(),
                what: "a function, which takes `#[handler(get, \"/…\")]`",
                ident: None,
            },
            item => StateShape::Other {
                place: first_token(item),
                what: "another item",
                ident: None,
            },
        };
        FieldCleaner.visit_item_mut(&mut item);
        Self {
            item,
            doc,
            migrate,
            attributes,
            shape,
        }
    }
}

/// Whether an attribute of the struct is meant for us.
fn is_migrate(attribute: &Attribute) -> bool {
    attribute
        .path()
        .get_ident()
        .is_some_and(|word| nearest(&word.to_string(), &[MIGRATE]).is_some())
}

fn other(
    keyword: impl ToTokens,
    what: &'static str,
    ident: &Ident,
    generics: &Generics,
) -> StateShape {
    StateShape::Other {
        place: quote!(#keyword #ident),
        what,
        ident: generics.params.is_empty().then(|| ident.clone()),
    }
}

fn first_token(item: &Item) -> TokenStream {
    item.to_token_stream().into_iter().take(1).collect()
}

fn state_field(field: &Field) -> Option<StateField> {
    let (mut key, mut partition_by, mut entity) = (Vec::new(), Vec::new(), Vec::new());
    let (mut strays, mut others) = (Vec::new(), Vec::new());
    for attribute in &field.attrs {
        match ours(attribute) {
            Some(Ours::Key) => key.push(attribute.clone()),
            Some(Ours::PartitionBy) => partition_by.push(attribute.clone()),
            Some(Ours::Entity) => entity.push(attribute.clone()),
            Some(Ours::Stray) => strays.push(attribute.clone()),
            None => others.push(attribute.clone()),
        }
    }
    let ident = field.ident.clone()?;
    Some(StateField {
        ident,
        ty: field.ty.clone(),
        key,
        partition_by,
        entity,
        strays,
        others,
    })
}

enum Ours {
    Key,
    PartitionBy,
    Entity,
    Stray,
}

/// Whether an attribute of a field is meant for us.
fn ours(attribute: &Attribute) -> Option<Ours> {
    let word = attribute.path().get_ident()?.to_string();
    match word.as_str() {
        KEY => Some(Ours::Key),
        PARTITION_BY => Some(Ours::PartitionBy),
        ENTITY => Some(Ours::Entity),
        CRUD | TOPIC | PARTITIONS | GLOBAL | MIGRATE => Some(Ours::Stray),
        // Attributes of the language and of the usual derives.
        "doc" | "cfg" | "allow" | "serde" => None,
        _ => nearest(&word, &[KEY, PARTITION_BY, ENTITY]).map(|_| Ours::Stray),
    }
}

/// Takes our attributes off all fields and variants.
struct FieldCleaner;

impl VisitMut for FieldCleaner {
    fn visit_field_mut(&mut self, field: &mut Field) {
        field.attrs.retain(|attribute| ours(attribute).is_none());
    }

    fn visit_variant_mut(&mut self, variant: &mut syn::Variant) {
        variant.attrs.retain(|attribute| ours(attribute).is_none());
        syn::visit_mut::visit_variant_mut(self, variant);
    }

    // Bodies are no business of ours, and may hold items with attributes of others.
    fn visit_block_mut(&mut self, _: &mut syn::Block) {}
}

/// What `#[handlers]` stands on.
#[derive(Debug)]
pub(crate) struct HandlersItem {
    /// Without our attributes.
    pub(crate) item: ItemImpl,
    pub(crate) methods: Vec<MethodItem>,
    /// Items that are no functions, with a route all the same.
    pub(crate) misplaced: Vec<(Attribute, &'static str)>,
}

/// A function with at least one route attribute.
#[derive(Debug)]
pub(crate) struct MethodItem {
    pub(crate) function: Function,
    /// Never empty.
    pub(crate) routes: Vec<Attribute>,
}

/// A function that is to be a handler.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) signature: Signature,
    pub(crate) doc: String,
    pub(crate) cfg: Vec<Attribute>,
}

impl Function {
    fn read(attributes: &[Attribute], signature: &Signature) -> Self {
        Self {
            signature: signature.clone(),
            doc: doc_of(attributes),
            cfg: attributes
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"))
                .cloned()
                .collect(),
        }
    }
}

impl HandlersItem {
    pub(crate) fn read(mut item: ItemImpl, errors: &Errors) -> Self {
        let (mut methods, mut misplaced) = (Vec::new(), Vec::new());
        for item in &mut item.items {
            let (attributes, signature, what) = match item {
                ImplItem::Fn(item) => (&mut item.attrs, Some(&item.sig), "a function"),
                ImplItem::Const(item) => (&mut item.attrs, None, "a constant"),
                ImplItem::Type(item) => (&mut item.attrs, None, "a type"),
                ImplItem::Macro(item) => (&mut item.attrs, None, "a macro"),
                _ => continue,
            };
            let routes = take_routes(attributes, errors);
            match signature {
                Some(_) if routes.is_empty() => {}
                Some(signature) => {
                    methods.push(MethodItem {
                        function: Function::read(attributes, signature),
                        routes,
                    });
                    // The form of the arguments is ours, so clippy must not blame the user for it.
                    attributes.push(parse_quote!(
                        #[allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]
                    ));
                }
                None => misplaced.extend(routes.into_iter().map(|route| (route, what))),
            }
        }
        Self {
            item,
            methods,
            misplaced,
        }
    }
}

/// Takes the route attributes off, and those that were probably meant as one.
fn take_routes(attributes: &mut Vec<Attribute>, errors: &Errors) -> Vec<Attribute> {
    let mut routes = Vec::new();
    attributes.retain(|attribute| {
        let Some(word) = attribute.path().get_ident().map(ToString::to_string) else {
            return true;
        };
        if Method::of(&word).is_some() {
            routes.push(attribute.clone());
            return false;
        }
        let path = attribute.path();
        if word == "handler" {
            errors.push(path, "inside `#[handlers]` the method is the attribute: `#[get(\"/{id}/…\")]`");
            return false;
        }
        if [KEY, PARTITION_BY, ENTITY].contains(&word.as_str()) {
            errors.push(path, format!("`#[{word}]` belongs on a field of the state"));
            return false;
        }
        // Only what looks like a route: `#[test]` and `#[expect(…)]` are neither.
        let with_path = matches!(&attribute.meta, Meta::List(list)
            if syn::parse2::<syn::LitStr>(list.tokens.clone()).is_ok_and(|path| path.value().starts_with('/')));
        if !with_path {
            return true;
        }
        let message = match (Method::why_not(&word), nearest(&word, &Method::WORDS)) {
            (Some(why), _) => format!("{why}: write one of `#[get]`, `#[post]`, `#[put]`, `#[patch]`, `#[delete]`"),
            (None, Some(near)) => format!("`#[{word}]` is no route: did you mean `#[{near}]`?"),
            (None, None) => return true,
        };
        errors.push(path, message);
        false
    });
    routes
}

/// What `#[handler(…)]` stands on.
#[derive(Debug)]
pub(crate) struct FreeItem {
    /// Without our attributes.
    pub(crate) item: ItemFn,
    pub(crate) function: Function,
    /// Route attributes on the function itself.
    pub(crate) routes: Vec<Attribute>,
}

impl FreeItem {
    pub(crate) fn read(mut item: ItemFn) -> Self {
        let mut routes = Vec::new();
        item.attrs.retain(|attribute| {
            let route = attribute
                .path()
                .get_ident()
                .is_some_and(|word| Method::of(&word.to_string()).is_some());
            if route {
                routes.push(attribute.clone());
            }
            !route
        });
        let function = Function::read(&item.attrs, &item.sig);
        item.attrs
            .push(parse_quote!(#[allow(clippy::needless_pass_by_value)]));
        Self {
            item,
            function,
            routes,
        }
    }
}

/// The route of a method; a second one is reported.
pub(crate) fn one_route(routes: &[Attribute], errors: &Errors) -> Option<RouteAttr> {
    let mut read = routes
        .iter()
        .map(|attribute| (attribute, RouteAttr::of_method(attribute, errors)));
    let (_, first) = read.next()?;
    for (attribute, _) in read {
        errors.push(
            attribute,
            "a function answers one route: write a second function, or one that both call",
        );
    }
    first
}

/// The text of `///` comments.
fn doc_of(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
    {
        if let Meta::NameValue(pair) = &attribute.meta
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &pair.value
        {
            for line in text.value().lines() {
                lines.push(line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned());
            }
            if text.value().is_empty() {
                lines.push(String::new());
            }
        }
    }
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_become_text() {
        let item: ItemFn = parse_quote! {
            /// One.
            ///
            ///  - two
            #[doc = "three"]
            #[allow(dead_code)]
            fn f() {}
        };
        assert_eq!(doc_of(&item.attrs), "One.\n\n - two\nthree");
    }

    #[test]
    fn our_attributes_are_taken_off_and_others_stay() {
        let item = StateItem::read(parse_quote! {
            struct S {
                #[key]
                #[serde(rename = "x")]
                a: u32,
                #[keys]
                b: u32,
                #[doc = "c"]
                c: u32,
            }
        });
        let text = item.item.to_token_stream().to_string();
        assert_eq!(
            text,
            "struct S { # [serde (rename = \"x\")] a : u32 , b : u32 , # [doc = \"c\"] c : u32 , }"
        );
        let StateShape::Named { fields, .. } = item.shape else {
            panic!("it has named fields")
        };
        assert_eq!(
            (
                fields[0].key.len(),
                fields[0].others.len(),
                fields[1].strays.len()
            ),
            (1, 1, 1)
        );
    }

    #[test]
    fn methods_without_a_route_are_left_alone() {
        let errors = Errors::new();
        let item = HandlersItem::read(
            parse_quote! {
                impl S {
                    #[get("/{id}")]
                    #[inline]
                    fn a(&self) {}
                    #[test]
                    fn b() {}
                    #[expect(dead_code)]
                    fn c() {}
                }
            },
            &errors,
        );
        assert!(errors.finish().is_none());
        assert_eq!(item.methods.len(), 1);
        assert_eq!(
            item.item.to_token_stream().to_string(),
            "impl S { # [inline] # [allow (clippy :: needless_pass_by_value , clippy :: trivially_copy_pass_by_ref)] fn a (& self) { } # [test] fn b () { } # [expect (dead_code)] fn c () { } }"
        );
    }
}
