//! The checks, by what they are about.

pub mod auth;
pub mod cards;
pub mod defaults;
pub mod interaction;
pub mod login;
pub mod output;
pub mod polling;
pub mod push;
pub mod sending;
pub mod tasks;
pub mod tools;
pub mod transport;
