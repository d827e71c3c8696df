//! Clients that mean harm, against the program itself, with a caller beside them that does not.
//!
//! Each attack has an outcome in the protocol (a code, a reset, a closed connection), every call of the healthy caller is
//! answered right while it lasts, the program serves new connections behind it, and it has not grown. How much slower the
//! healthy caller gets is a matter of `cargo bench --bench load -- hostile`.

mod bodies;
mod connections;
mod floods;
mod frames;
mod heads;
mod rude;
mod slow;
mod victim;
