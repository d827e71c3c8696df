//! The a2ad program: a thin layer of commands over the library.

mod cli;

use std::process::ExitCode;

/// A request makes and drops some hundred small values; the allocator of the C library costs a tenth of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
