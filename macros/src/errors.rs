//! Collects every mistake of an item, so that one build shows them all.

use std::{cell::RefCell, fmt::Display};

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes found so far. It has to be [finished](Errors::finish): in debug builds it panics if it is dropped
/// unread, since a mistake that is lost here becomes a riddle for the user.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    // `None` once it is finished. A cell, so that checks which hold parts of the tree can report all the same.
    found: RefCell<Option<Vec<syn::Error>>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self {
            found: RefCell::new(Some(Vec::new())),
        }
    }

    /// Reports a mistake on the user's own tokens.
    pub(crate) fn push(&self, tokens: impl ToTokens, message: impl Display) {
        self.push_error(syn::Error::new_spanned(tokens, message));
    }

    /// Reports a mistake that syn has found.
    pub(crate) fn push_error(&self, error: syn::Error) {
        if let Some(found) = self.found.borrow_mut().as_mut() {
            found.push(error);
        }
    }

    /// How many there are: a check compares before and after to know whether a part is sound.
    pub(crate) fn count(&self) -> usize {
        self.found.borrow().as_ref().map_or(0, Vec::len)
    }

    /// All of them as `compile_error!`s; `None` if there are none.
    pub(crate) fn finish(self) -> Option<TokenStream> {
        let found = self.found.borrow_mut().take().unwrap_or_default();
        (!found.is_empty()).then(|| found.iter().map(syn::Error::to_compile_error).collect())
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            debug_assert!(
                self.found.borrow().is_none(),
                "errors were collected and not read"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn all_mistakes_come_out_in_order() {
        let errors = Errors::new();
        errors.push(quote!(a), "first");
        assert_eq!(errors.count(), 1);
        errors.push(quote!(b), "second");
        let text = errors.finish().expect("there are two").to_string();
        assert!(text.find("first") < text.find("second"), "{text}");
    }

    #[test]
    fn nothing_wrong_is_nothing() {
        assert!(Errors::new().finish().is_none());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "errors were collected and not read")]
    fn a_collector_that_nobody_reads_panics() {
        drop(Errors::new());
    }
}
