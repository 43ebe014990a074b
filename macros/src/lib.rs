use proc_macro::TokenStream;

mod ast;
mod attr;
mod check;
mod errors;
mod expand;
mod fallback;
mod model;
mod near;
mod symbols;
mod template;
mod types;

#[proc_macro_attribute]
pub fn stateful_api(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::stateful_api(attr.into(), item.into()).into()
}

#[proc_macro_attribute]
pub fn handlers(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::handlers(attr.into(), item.into()).into()
}

#[proc_macro_attribute]
pub fn handler(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::handler(attr.into(), item.into()).into()
}
