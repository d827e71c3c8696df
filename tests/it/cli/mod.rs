//! The commands that talk to agents, through the program itself, against our own server.

mod access;
mod bindings;
mod cards;
mod compliance;
mod echoes;
mod harness;
mod limits;
mod readme;
mod settings;
mod stories;
mod strangers;
mod streams;
mod talk;
mod uploads;
mod wire;
