//! The loss ledger: what was not carried as it is.

use std::io::Write;

use console::style;
use dagflux_host::Loss;

use super::table::{Column, Table};
use super::thousands;
use crate::args::word;

/// Writes it to standard error, behind the result; nothing if there is nothing in it.
pub fn print(losses: &[Loss]) {
    if losses.is_empty() {
        return;
    }
    // A reader of remarks that is gone is no reason to fail.
    let _ = std::io::stderr().write_all(&render(losses));
}

fn render(losses: &[Loss]) -> Vec<u8> {
    let values: u64 = losses
        .iter()
        .fold(0, |sum, loss| sum.saturating_add(loss.values));
    let columns = vec![
        Column::left("column"),
        Column::left("reason"),
        Column::left("became"),
        Column::right("values"),
        Column::right("first row"),
        Column::left("example"),
    ];
    let rows: Vec<_> = losses
        .iter()
        .map(|loss| {
            vec![
                Some(loss.column.clone()),
                Some(loss.reason.clone()),
                Some(word(loss.became).to_owned()),
                Some(thousands(loss.values)),
                Some(thousands(loss.first_row)),
                Some(loss.example.clone()),
            ]
        })
        .collect();
    let (count, verb) = match values {
        1 => ("1 value".to_owned(), "was not carried as it is"),
        _ => (
            format!("{} values", thousands(values)),
            "were not carried as they are",
        ),
    };
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = writeln!(
        out,
        "{}",
        style(format!("{count} {verb}:")).yellow().for_stderr()
    );
    let table = Table::for_stderr(columns, &rows);
    let _ = table.header(&mut out);
    for row in &rows {
        let _ = table.row(&mut out, row);
    }
    out
}
