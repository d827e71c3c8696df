//! The client library from the outside: cards, credentials and what strangers try with them.

mod cards;
mod credentials;
mod oauth;
mod site;
