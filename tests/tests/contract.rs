//! What a service does by its document, over HTTP: small documents are read as `memgen` reads them, decided on, and served in this process.

#[path = "contract/filters.rs"]
mod filters;
#[path = "contract/forms.rs"]
mod forms;
#[path = "contract/kit.rs"]
mod kit;
#[path = "contract/overrides.rs"]
mod overrides;
#[path = "contract/owners.rs"]
mod owners;
#[path = "contract/pages.rs"]
mod pages;
#[path = "contract/parameters.rs"]
mod parameters;
#[path = "contract/races.rs"]
mod races;
#[path = "contract/replies.rs"]
mod replies;
#[path = "contract/security.rs"]
mod security;
#[path = "contract/states.rs"]
mod states;
#[path = "contract/values.rs"]
mod values;
