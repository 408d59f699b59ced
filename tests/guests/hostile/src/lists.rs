//! What it says where lists are asked for: too much of everything.

use std::cell::RefCell;

use dagflux_guest::bindings::dagflux::connector::types::{Notice, TableName};
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Access, Column, Examination, Finding, KeepsOut, Lock, Loss, OnLoss, Prompt, PromptOptions,
    Report, Schema, Server, SetUpStatement, Severity, Table, TableKind, TouchedTable, WriteReport,
};

use crate::attacks;

thread_local! {
    static MANNER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How to behave where a call has no words to say so.
pub fn behave(manner: &str) {
    MANNER.replace(manner.to_owned());
}

/// How many of everything.
fn count() -> usize {
    MANNER.with_borrow(|manner| match manner.as_str() {
        "millions" => 1_000_000,
        "thousands" => 5_000,
        "crash" => panic!("asked for a list"),
        "endless" => {
            attacks::endless();
            0
        }
        _ => 0,
    })
}

fn long() -> String {
    MANNER.with_borrow(|manner| match manner.as_str() {
        "long" => "x".repeat(70 * 1024 * 1024),
        _ => String::new(),
    })
}

pub fn notices() -> Vec<Notice> {
    let notice = |at: usize| Notice {
        severity: String::new(),
        sqlstate: String::new(),
        message: format!("{at}"),
    };
    (0..count()).map(notice).collect()
}

pub fn schemas() -> Vec<Schema> {
    let schema = |_| Schema {
        name: long(),
        usable: true,
        comment: None,
    };
    (0..count().max(1)).map(schema).collect()
}

pub fn tables() -> Vec<Table> {
    let table = |_| Table {
        schema: String::new(),
        name: long(),
        kind: TableKind::Table,
        readable: true,
        estimated_rows: Some(u64::MAX),
        comment: None,
    };
    (0..count().max(1)).map(table).collect()
}

pub fn columns() -> Vec<Column> {
    let column = |_| Column {
        schema: String::new(),
        table: String::new(),
        name: long(),
        ordinal: u32::MAX,
        type_: String::new(),
        nullable: true,
        primary_key: Some(u32::MAX),
        default: None,
        generated: None,
        comment: None,
    };
    (0..count().max(1)).map(column).collect()
}

pub fn report() -> Report {
    let finding = |_| Finding {
        severity: Severity::Passed,
        subject: String::new(),
        message: long(),
        purposes: Vec::new(),
        remedies: Vec::new(),
    };
    Report {
        server: Server {
            product: String::new(),
            version: String::new(),
            database: String::new(),
            schema: String::new(),
            encrypted: true,
        },
        verdicts: Vec::new(),
        findings: (0..count().max(1)).map(finding).collect(),
    }
}

pub fn losses(many: u64) -> Vec<Loss> {
    let loss = |_| Loss {
        column: String::new(),
        reason: String::new(),
        became: OnLoss::Null,
        values: u64::MAX,
        first_row: 0,
        example: String::new(),
    };
    (0..many).map(loss).collect()
}

/// `of` is the login that the set-up is for.
pub fn set_up(of: &str) -> Vec<SetUpStatement> {
    behave(of);
    let statement = |_| SetUpStatement {
        sql: long(),
        why: String::new(),
        run_as: None,
        optional: false,
    };
    (0..count().max(1)).map(statement).collect()
}

pub fn written() -> WriteReport {
    WriteReport {
        inserted: u64::MAX,
        updated: u64::MAX,
        deleted: u64::MAX,
        statements: vec![long(); count().max(1)],
        remarks: Vec::new(),
    }
}

pub fn locks() -> Vec<Lock> {
    let lock = |_| Lock {
        schema: String::new(),
        name: long(),
        mode: String::new(),
        keeps_out: KeepsOut::Everyone,
    };
    (0..count().max(1)).map(lock).collect()
}

pub fn examination() -> Examination {
    let table = |_| TouchedTable {
        schema: String::new(),
        name: long(),
        access: Access::Read,
        behind_view: false,
    };
    Examination {
        columns: None,
        tables: Some((0..count().max(1)).map(table).collect()),
        effects: Vec::new(),
        estimated_rows: Some(u64::MAX),
    }
}

pub fn prompt(options: PromptOptions) -> Prompt {
    let table = |_| TableName {
        schema: None,
        name: "t\u{1b}[2J".to_owned(),
    };
    Prompt {
        instructions: match long() {
            long if long.is_empty() => "a\u{1b}[2J\r\n\tb\u{e0041}\u{202e}c".to_owned(),
            long => long,
        },
        tables: "x".repeat(options.most_bytes as usize),
        in_full: (0..count().max(1)).map(table).collect(),
        in_short: Vec::new(),
        by_name: Vec::new(),
        left_out: vec!["x".repeat(1_000_000), "\u{1b}[2J".to_owned()],
    }
}
