//! Load on a2ad and on bare servers of the same payload, measured side by side. `benches/README.md` says how to run it
//! and what it has shown.

mod baseline;
mod callers;
mod client;
mod cost;
mod hostile;
mod idle;
mod machine;
mod measure;
mod options;
mod payload;
mod push;
mod secure;
mod server;
mod stalled;
mod streams;
mod table;
mod tasks;
mod unary;

use std::process::ExitCode;

use options::{Options, What};

/// The allocator of the a2ad binary, so that the bare servers differ from it in what they do and in nothing else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What goes wrong ends the program with its text.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome {
    match options.what {
        What::Serve(baseline) => return baseline::serve(baseline),
        What::TouchMemory => {
            machine::touch_memory();
            return Ok(());
        }
        What::SingleRows => return baseline::single_rows(options),
        What::Help => {
            eprintln!("{}", options::USAGE);
            return Ok(());
        }
        _ => {}
    }
    let pinned = machine::pin_the_load(options.pin)?;
    println!("{}\n{pinned}\n", machine::description());
    // One thread is enough to load one pinned server, and it leaves no scheduling of its own to chance.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let wanted = |what: What| options.what == what || options.what == What::All;
        if wanted(What::Unary) {
            unary::run(options).await?;
        }
        if wanted(What::Tasks) {
            tasks::run(options).await?;
        }
        if wanted(What::Streams) {
            streams::run(options).await?;
        }
        if wanted(What::Idle) {
            idle::run(options).await?;
        }
        if wanted(What::Stalled) {
            stalled::run(options).await?;
        }
        if wanted(What::Cost) {
            cost::run(options).await?;
        }
        if wanted(What::Secure) {
            secure::run(options).await?;
        }
        if wanted(What::Hostile) {
            hostile::run(options).await?;
        }
        if wanted(What::Push) {
            push::run(options).await?;
        }
        if wanted(What::Client) {
            callers::run(options).await?;
        }
        Ok(())
    })
}
