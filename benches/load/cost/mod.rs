//! What must not grow: appends with the length of a task, pages with the number of tasks, reads beyond what decoding
//! costs. The engine and the repository run in this process; small and large take turns, and the ratio is the figure.

mod append;
mod get;
mod list;
mod prose;
mod send;
mod store;
mod task;

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::measure::Spread;
use crate::options::Options;
use crate::table::Table;

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&["cost", "store", "small us", "large us", "ratio", "aim"]);
    for store in store::all(options).await? {
        append::rows(options, &store, &mut table).await?;
        send::rows(options, &store, &mut table).await?;
        let read = get::rows(options, &store, &mut table).await?;
        let store = store.forgetful().await?;
        get::first_reads(options, &store, &read, &mut table).await?;
        store.close().await?;
    }
    list::rows(options, &mut table).await?;
    table.print("cost: medians, and how they grow");
    Ok(())
}

/// Times of the small and of the large, taken in turns.
#[derive(Default)]
struct Pair {
    small: Vec<f64>,
    large: Vec<f64>,
}

impl Pair {
    /// Adds a row: medians, and the ratio of what both took in all, which has in it what is rare and dear.
    fn row(self, table: &mut Table, what: &str, store: &str, aim: &str) {
        let ratio = mean(&self.large) / mean(&self.small);
        let (small, large) = (Spread::new(self.small).median, Spread::new(self.large).median);
        table.row(vec![
            what.to_owned(),
            store.to_owned(),
            format!("{small:.1}"),
            format!("{large:.1}"),
            format!("{:.2} (in all {ratio:.2})", large / small),
            aim.to_owned(),
        ]);
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// How long some work takes, in microseconds.
async fn timed<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<(f64, T)> {
    let start = Instant::now();
    let done = work.await?;
    Ok((us(start.elapsed()), done))
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
