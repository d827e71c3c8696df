//! Settings of the commands that talk to agents: option, environment, local file, global file, default, in this order.

mod dotenv;
mod layers;
mod settings;
mod show;
mod sources;

pub use layers::{Given, with_defaults};
pub use settings::{
    A2A_VERSION, BYTES_MAX, Form, OUTPUT, PAGES_MAX, PARTS_MAX, POLL_INTERVAL, SETTINGS, Setting, TIMEOUT,
};
pub use show::Show;
pub use sources::{Source, Sources, option};
