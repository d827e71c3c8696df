//! The durability harness in small, and its controls.

mod controls;
mod kills;
mod power;
