//! What an import came to.

use std::time::Duration;

use arrow_schema::SchemaRef;
use dagflux_host::{ColumnInfo, Receipt, WriteReport};
use serde_json::{Value, json};

use crate::args::{ImportArgs, Mode};
use crate::output::progress::rate;
use crate::output::rows::server_type;
use crate::output::{self, duration, size};

/// What an import came to.
pub struct Imported {
    /// The columns that were written.
    pub schema: SchemaRef,
    /// The rows of the file.
    pub rows: u64,
    /// The bytes of the file, where that is known.
    pub bytes: Option<u64>,
    /// How long it took.
    pub elapsed: Duration,
    /// What the server was made to do.
    pub report: WriteReport,
}

/// Tells it to the person.
pub fn for_people(args: &ImportArgs, imported: &Imported, receipt: &Receipt) {
    eprintln!("{}", line(args, imported));
    if args.dry_run {
        for statement in &imported.report.statements {
            eprintln!(
                "  {}",
                output::printable_lines(statement).replace('\n', "\n  ")
            );
        }
    }
    eprintln!("{}", output::receipt::line(receipt));
    for remark in &imported.report.remarks {
        output::warn(remark);
    }
}

fn line(args: &ImportArgs, imported: &Imported) -> String {
    let Imported {
        rows,
        bytes,
        elapsed,
        ..
    } = *imported;
    let table = output::printable(&args.table.to_string());
    let bytes = bytes
        .map(|bytes| format!(" ({})", size(bytes)))
        .unwrap_or_default();
    let (time, rate) = (duration(elapsed), rate(rows, elapsed));
    let changes = changes(args.mode(), &imported.report);
    if args.dry_run {
        let changes = match args.mode() {
            Mode::Create => format!("created {table} and {changes}"),
            _ => format!("{changes} in {table}"),
        };
        return format!("dry run: would have {changes}; nothing was changed ({time})");
    }
    match args.mode() {
        Mode::Append | Mode::Create => {
            let rows = output::rows(rows);
            format!("imported {rows}{bytes} into {table}: {time}, {rate}")
        }
        Mode::Replace | Mode::Upsert => {
            let rows = output::rows(rows);
            format!("imported {rows}{bytes} into {table}: {changes}; {time}, {rate}")
        }
    }
}

/// The numbers that mean something in the mode, zeros included.
fn changes(mode: Mode, report: &WriteReport) -> String {
    let inserted = format!("inserted {}", output::rows(report.inserted));
    match mode {
        Mode::Append | Mode::Create => inserted,
        Mode::Replace => format!("deleted {} and {inserted}", output::rows(report.deleted)),
        Mode::Upsert => format!("updated {} and {inserted}", output::rows(report.updated)),
    }
}

/// Tells it to machines; `columns` are those of the table afterwards, where they are known.
pub fn for_machines(
    args: &ImportArgs,
    imported: &Imported,
    types: &[(String, String)],
    columns: &[ColumnInfo],
    receipt: &Receipt,
) -> Value {
    let report = &imported.report;
    let columns: Vec<Value> = (imported.schema.fields().iter())
        .map(|field| {
            let name = field.name();
            let known = columns.iter().find(|column| column.name == *name);
            let given = types.iter().find(|(column, _)| column == name);
            let kind = known
                .map(|column| column.data_type.as_str())
                .or(given.map(|(_, kind)| kind.as_str()))
                .or(server_type(field));
            json!({ "name": name, "type": kind, "arrow": field.data_type().to_string() })
        })
        .collect();
    json!({
        "rows": imported.rows,
        "bytes": imported.bytes,
        "seconds": imported.elapsed.as_secs_f64(),
        "table": args.table.to_string(),
        "mode": args.mode().as_str(),
        "created": args.mode() == Mode::Create && !args.dry_run,
        "dry_run": args.dry_run,
        "inserted": report.inserted,
        "updated": report.updated,
        "deleted": report.deleted,
        "statements": report.statements,
        "remarks": report.remarks,
        "columns": columns,
        "sandbox": output::receipt::json(receipt),
    })
}
