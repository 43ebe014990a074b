//! What a type looks like. A macro sees names, not what they mean.

use syn::{GenericArgument, PathArguments, PathSegment, Type, TypeReference, visit_mut::VisitMut};

/// The last segment of a path type: `Json<T>` of `memgen::Json<T>`.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match bare(ty) {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

/// The name of a path type, without its arguments.
pub(crate) fn name(ty: &Type) -> Option<String> {
    last_segment(ty).map(|segment| segment.ident.to_string())
}

/// The type arguments of a path type.
pub(crate) fn arguments(ty: &Type) -> Vec<&Type> {
    let Some(PathArguments::AngleBracketed(given)) =
        last_segment(ty).map(|segment| &segment.arguments)
    else {
        return Vec::new();
    };
    given
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
        .collect()
}

/// `T` of `Wrapper<T>`.
pub(crate) fn inside<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    match (name(ty), arguments(ty).as_slice()) {
        (Some(name), [inner]) if name == wrapper => Some(inner),
        _ => None,
    }
}

/// A reference, if it is one.
pub(crate) fn reference(ty: &Type) -> Option<&TypeReference> {
    match bare(ty) {
        Type::Reference(reference) => Some(reference),
        _ => None,
    }
}

/// A type as a person writes it.
pub(crate) fn text(ty: &Type) -> String {
    let tokens = quote::ToTokens::to_token_stream(ty).to_string();
    tokens
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace(" :: ", "::")
        .replace(" ,", ",")
        .replace("& ", "&")
}

/// The type without parentheses and the invisible groups of `macro_rules!`.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// `()`
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// Whether two types are written alike.
pub(crate) fn same(a: &Type, b: &Type) -> bool {
    bare(a) == bare(b)
}

/// A type that is surely read from text: as an argument it can only be a part of the path.
pub(crate) fn is_scalar(ty: &Type) -> bool {
    const SCALARS: [&str; 18] = [
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "bool", "char", "String", "Uuid",
    ];
    arguments(ty).is_empty() && name(ty).is_some_and(|name| SCALARS.contains(&name.as_str()))
}

/// Why a type can't be a key, if its name alone shows it.
pub(crate) fn why_no_key(ty: &Type) -> Option<String> {
    let what = match bare(ty) {
        Type::Reference(_) => "a reference".to_owned(),
        Type::Tuple(_) => "a tuple".to_owned(),
        Type::Array(_) | Type::Slice(_) => "a list".to_owned(),
        Type::FnPtr(_) | Type::Ptr(_) => "a pointer".to_owned(),
        Type::Path(_) => match name(ty)?.as_str() {
            "f32" | "f64" => "a float, which has no order and no single text".to_owned(),
            "Option" => "optional".to_owned(),
            "Vec" | "VecDeque" | "BTreeSet" | "HashSet" => "a collection".to_owned(),
            "BTreeMap" | "HashMap" => "a map".to_owned(),
            "Value" => "any JSON".to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    Some(what)
}

/// The first `impl Trait` in a type.
pub(crate) fn impl_trait(ty: &Type) -> Option<Type> {
    find(ty, |ty| matches!(ty, Type::ImplTrait(_)))
}

/// The first `_` in a type.
pub(crate) fn infer(ty: &Type) -> Option<Type> {
    find(ty, |ty| matches!(ty, Type::Infer(_)))
}

fn find(ty: &Type, wanted: fn(&Type) -> bool) -> Option<Type> {
    struct Finder {
        wanted: fn(&Type) -> bool,
        found: Option<Type>,
    }
    impl VisitMut for Finder {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if self.found.is_none() {
                if (self.wanted)(ty) {
                    self.found = Some(ty.clone());
                }
                syn::visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    let mut finder = Finder {
        wanted,
        found: None,
    };
    finder.visit_type_mut(&mut ty.clone());
    finder.found
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;
    use syn::parse_quote;

    use super::*;

    #[test]
    fn wrappers_are_found_by_their_last_name() {
        let rows: [(Type, Option<&str>); 5] = [
            (parse_quote!(Json<Edge>), Some("Edge")),
            (parse_quote!(::memgen::Json<Vec<u8>>), Some("Vec < u8 >")),
            (parse_quote!((Json<Edge>)), Some("Edge")),
            (parse_quote!(Json), None),
            (parse_quote!(Query<Edge>), None),
        ];
        for (ty, inner) in rows {
            let found = inside(&ty, "Json").map(|inner| inner.to_token_stream().to_string());
            assert_eq!(found.as_deref(), inner);
        }
    }

    #[test]
    fn keys_and_scalars() {
        assert!(is_scalar(&parse_quote!(uuid::Uuid)));
        assert!(!is_scalar(&parse_quote!(Vec<u8>)));
        assert!(why_no_key(&parse_quote!(f64)).is_some());
        assert!(why_no_key(&parse_quote!(&str)).is_some());
        assert!(why_no_key(&parse_quote!(std::vec::Vec<u8>)).is_some());
        assert!(why_no_key(&parse_quote!(CustomerId)).is_none());
    }

    #[test]
    fn impl_trait_is_found_inside() {
        assert!(impl_trait(&parse_quote!(Result<impl IntoResponse, E>)).is_some());
        assert!(impl_trait(&parse_quote!(Result<T, E>)).is_none());
        assert!(infer(&parse_quote!(Vec<_>)).is_some());
    }
}
