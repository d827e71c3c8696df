//! The durability harness in small, and its controls.

mod controls;
mod disk;
mod kills;
mod power;
