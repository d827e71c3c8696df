//! Tables in plain text that are Markdown as well.

use crate::measure::Spread;

/// Columns are as wide as their widest cell; all but the first are numbers.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|&text| text.to_owned()).collect()],
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn print(&self, title: &str) {
        println!("### {title}\n");
        let columns = self.rows[0].len();
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            let line: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
            println!("| {} |", line.join(" | "));
            if index == 0 {
                let rule: Vec<String> = widths.iter().enumerate().map(rule).collect();
                println!("|{}|", rule.join("|"));
            }
        }
        println!();
    }
}

fn cell((column, (text, &width)): (usize, (&String, &usize))) -> String {
    if column == 0 {
        format!("{text:<width$}")
    } else {
        format!("{text:>width$}")
    }
}

fn rule((column, &width): (usize, &usize)) -> String {
    let dashes = "-".repeat(width + 1);
    if column == 0 {
        format!("{dashes}-")
    } else {
        format!("{dashes}:")
    }
}

/// `15.6 (15.1-16.9)`.
pub fn spread(value: Spread, digits: usize) -> String {
    format!(
        "{:.digits$} ({:.digits$}-{:.digits$})",
        value.median, value.low, value.high
    )
}

pub fn median(value: Spread, digits: usize) -> String {
    if value.median.is_nan() {
        "-".to_owned()
    } else {
        format!("{:.digits$}", value.median)
    }
}

/// A line that is no part of the tables.
pub fn note(line: String) {
    eprintln!("  {line}");
}
