//! Agent cards as a client sees them (specification 8): found, kept, verified, judged, and an interface chosen.
//!
//! A [`CardReference`] is what a person writes; a [`Resolver`] makes a [`ResolvedCard`] of it. What a card says is a
//! stranger's word: [`problems`] lists what is wrong with it, a [`SignatureStatus`] says whether its owner wrote it, and
//! what its interfaces may lead to depends on where the card came from ([`CardSource`]).

mod caching;
mod catalog;
mod choice;
mod document;
mod fetch;
mod legacy;
mod place;
mod problems;
mod reference;
mod resolve;
mod signed;
mod source;
mod store;

pub use choice::choose;
pub use fetch::fetch_card;
pub use problems::{problems, problems_of_document};
pub use reference::{CardReference, ReferenceError};
pub use resolve::{ResolvedCard, Resolver};
pub use signed::{SignatureStatus, Verification};
pub use source::{CardSource, Policies};
pub use store::{CardStore, MemoryCards, StoredDocument};

pub(in crate::client) use document::Documents;
pub(in crate::client) use place::place_of;
pub(in crate::client) use source::origin_of;
