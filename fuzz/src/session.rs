//! Whole sessions with a server whose every byte is made up.
//!
//! | bytes of the input | what they are |
//! |---|---|
//! | 1 | bits: a login is made up, too; the peer is eager; the peer is slow; two operations |
//! | 1 | how long the pieces are in which the server's bytes arrive; 0: messages; 255: all |
//! | 1 | the operation |
//! | 1 | the second operation, if there are two |
//! | the rest | what the server says |
//!
//! Whatever it says, each operation ends, in a result or an error that is not the connector's
//! own fault, and what was sent is well-formed messages.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    BatchSize, CheckOptions, Duplicates, OnLoss, Purpose, StreamOptions, Upsert, WriteMode,
    WriteOptions,
};
use dagflux_guest::{BatchLimits, ColumnBuilder, Layout, Result, ipc};
use dagflux_postgres::protocol::frame::{self, Split};
use dagflux_postgres::read::{self, Selection};
use dagflux_postgres::rows::{Rows, Shared};
use dagflux_postgres::session::{Parameters, Session, Startup};
use dagflux_postgres::types::ledger::Choices;
use dagflux_postgres::{cancel, catalog, check, query, write};

use super::input::Input;
use super::peer::{Cuts, FixedLogin, Manner, Peer};

/// What is done after the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    Query,
    QueryToNull,
    QueryToText,
    QueryGivenUp,
    Execute,
    Read,
    ReadToText,
    ReadByCopy,
    Preview,
    Schemas,
    Tables,
    TablesOfSchema,
    Columns,
    ColumnsOfTable,
    Check,
    CheckEverything,
    Append,
    DryRun,
    Create,
    Replace,
    Upsert,
    UpsertLast,
    Cancel,
}

/// All of them; an input names one by its place.
pub const OPERATIONS: [Operation; 23] = [
    Operation::Query,
    Operation::QueryToNull,
    Operation::QueryToText,
    Operation::QueryGivenUp,
    Operation::Execute,
    Operation::Read,
    Operation::ReadToText,
    Operation::ReadByCopy,
    Operation::Preview,
    Operation::Schemas,
    Operation::Tables,
    Operation::TablesOfSchema,
    Operation::Columns,
    Operation::ColumnsOfTable,
    Operation::Check,
    Operation::CheckEverything,
    Operation::Append,
    Operation::DryRun,
    Operation::Create,
    Operation::Replace,
    Operation::Upsert,
    Operation::UpsertLast,
    Operation::Cancel,
];

/// What a session is opened with.
pub fn parameters() -> Parameters {
    Parameters {
        database: "db".to_owned(),
        schema: SCHEMA.to_owned(),
        application_name: "fuzz".to_owned(),
        statement_timeout: Some(Duration::from_secs(10)),
        encrypted: false,
        startup: Startup::Complete,
    }
}

/// The schema that operations are about.
pub const SCHEMA: &str = "public";
/// The table that is read, with columns of every kind.
pub const SOURCE: &str = "everything";
/// The table that is read whose rows all fit, and come by `COPY`.
pub const PLAIN: &str = "plain";
/// The table that is written to.
pub const TARGET: &str = "target";
/// The table that is created.
pub const CREATED: &str = "created";

/// The first byte of an input.
const LOGIN: u8 = 1;
const EAGER: u8 = 2;
const SLOW: u8 = 4;
const TWO: u8 = 8;

/// The input in which the server says `bytes` from the login on.
pub fn input(operation: Operation, bytes: &[u8]) -> Vec<u8> {
    let at = OPERATIONS.iter().position(|known| *known == operation);
    let at = at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default();
    [&[LOGIN, 0, at, 0], bytes].concat()
}

/// Holds the conversation of an input. Says which operations came to their end as asked.
pub fn run(input: &[u8]) -> Vec<Operation> {
    let mut input = Input(input);
    let bits = input.byte();
    let manner = Manner {
        cuts: match input.byte() {
            0 => Cuts::Messages,
            u8::MAX => Cuts::None,
            length => Cuts::Every(length.into()),
        },
        eager: bits & EAGER != 0,
        slow: bits & SLOW != 0,
    };
    let mut operations = [input.byte(), input.byte()].map(|at| {
        let at = usize::from(at) % OPERATIONS.len();
        OPERATIONS[at]
    });
    let operations = match bits & TWO {
        0 => &mut operations[..1],
        _ => &mut operations[..],
    };
    let before = match bits & LOGIN {
        0 => welcome(),
        _ => Vec::new(),
    };
    let (channel, told) = Peer::saying(before, input.rest(), manner);
    let mut done = Vec::new();
    match Session::open(channel, parameters(), &FixedLogin) {
        Err(error) => judge(&error),
        Ok(mut session) => {
            session.set_dial(Box::new(|| Ok(Peer::saying(Vec::new(), b"?", QUICK).0)));
            let session = Rc::new(RefCell::new(session));
            for operation in operations {
                match perform(&session, *operation) {
                    Ok(()) => done.push(*operation),
                    Err(error) => judge(&error),
                }
                for notice in session.borrow_mut().take_notices() {
                    assert!(notice.message.len() < 10_000, "a long notice is kept");
                }
            }
        }
    }
    check_told(&told.borrow());
    done
}

const QUICK: Manner = Manner {
    cuts: Cuts::None,
    eager: false,
    slow: false,
};

/// What a server says to a login without a password.
fn welcome() -> Vec<u8> {
    [
        &b"R\0\0\0\x08\0\0\0\0"[..],
        b"S\0\0\0\x18server_version\x0015.8\0",
        b"S\0\0\0\x19server_encoding\0UTF8\0",
        b"K\0\0\0\x0c\0\0\0\x2a\0\0\0\x07",
        b"Z\0\0\0\x05I",
    ]
    .concat()
}

/// Makes sure that a failure is the server's and says what to do.
fn judge(error: &dagflux_guest::Error) {
    assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.has_hint(), "{error}");
}

/// Makes sure that what the server was told is a startup message and whole messages after it,
/// but for what it did not take in.
fn check_told(told: &[u8]) {
    let Some(length) = told.first_chunk::<4>() else {
        return;
    };
    let length = u32::from_be_bytes(*length) as usize;
    let mut rest = told.get(length..).unwrap_or_default();
    while let Split::Frame(frame) = frame::split(rest).expect("a message that is well-formed") {
        assert!(frame.tag.is_ascii_alphabetic(), "{}", frame.tag);
        rest = &rest[frame.whole.len()..];
    }
}

/// Does it, to the end.
pub fn perform(session: &Shared, operation: Operation) -> Result<()> {
    match operation {
        Operation::Query => drain(session, query(session, PLAIN, OnLoss::Fail)?),
        Operation::QueryToNull => drain(session, query(session, SOURCE, OnLoss::Null)?),
        Operation::QueryToText => drain(session, query(session, SOURCE, OnLoss::Text)?),
        Operation::QueryGivenUp => {
            let mut rows = query(session, PLAIN, OnLoss::Fail)?;
            rows.next_batch().map(drop)
        }
        Operation::Execute => query::execute(session, "DELETE FROM public.target").map(drop),
        Operation::Read => drain(session, read(session, SOURCE, None, OnLoss::Null)?),
        Operation::ReadToText => drain(session, read(session, SOURCE, None, OnLoss::Text)?),
        Operation::ReadByCopy => drain(session, read(session, PLAIN, None, OnLoss::Fail)?),
        Operation::Preview => drain(session, read(session, SOURCE, Some(10), OnLoss::Null)?),
        Operation::Schemas => catalog::schemas(&mut session.borrow_mut()).map(drop),
        Operation::Tables => catalog::tables(&mut session.borrow_mut(), None).map(drop),
        Operation::TablesOfSchema => {
            catalog::tables(&mut session.borrow_mut(), Some(SCHEMA)).map(drop)
        }
        Operation::Columns => catalog::columns(&mut session.borrow_mut(), None, None).map(drop),
        Operation::ColumnsOfTable => {
            catalog::columns(&mut session.borrow_mut(), None, Some(SOURCE)).map(drop)
        }
        Operation::Check => check(session, vec![Purpose::Source], false),
        Operation::CheckEverything => check(session, Vec::new(), true),
        Operation::Append => write(session, TARGET, WriteMode::Append, false),
        Operation::DryRun => write(session, TARGET, WriteMode::Append, true),
        Operation::Create => write(session, CREATED, WriteMode::Create, false),
        Operation::Replace => write(session, TARGET, WriteMode::Replace, false),
        Operation::Upsert => write(session, TARGET, upsert(Duplicates::Fail), false),
        Operation::UpsertLast => write(session, TARGET, upsert(Duplicates::LastWins), false),
        Operation::Cancel => {
            let key = session.borrow().cancel_key();
            if let Some(key) = key {
                let key = cancel::key(&cancel::token(key))?;
                cancel::send(Peer::saying(Vec::new(), b"?", QUICK).0, key)?;
            }
            Ok(())
        }
    }
}

/// Batches of a few rows, so that there are several.
const FEW: BatchSize = BatchSize {
    rows: 3,
    bytes: 1 << 20,
};

fn limits() -> BatchLimits {
    BatchLimits::new(FEW.rows, FEW.bytes)
}

fn choices(on_loss: OnLoss) -> Choices {
    Choices::from(&StreamOptions {
        batch: FEW,
        on_loss,
        on_loss_of: Vec::new(),
    })
}

fn query(session: &Shared, table: &str, on_loss: OnLoss) -> Result<Rows> {
    let sql = format!("SELECT * FROM public.{table}");
    query::query(session, &sql, limits(), &choices(on_loss))
}

fn read(session: &Shared, table: &str, limit: Option<u64>, on_loss: OnLoss) -> Result<Rows> {
    let selection = Selection {
        columns: None,
        limit,
    };
    read::read(
        session,
        None,
        table,
        &selection,
        limits(),
        &choices(on_loss),
    )
}

/// Takes every row. A host could use them.
fn drain(session: &Shared, mut rows: Rows) -> Result<()> {
    let schema = ipc::read_schema(rows.schema()).expect("a schema message");
    let unchecked = session.borrow().text_is_unchecked();
    while let Some(message) = rows.next_batch()? {
        match ipc::read_batch(message, &schema) {
            Ok(batch) => assert!(
                batch.num_rows() <= limits().rows,
                "a batch that is too long"
            ),
            // A server that checks text is taken at its word; the host looks at it again.
            Err(error) => assert!(!unchecked && error.message().contains("utf"), "{error}"),
        }
    }
    for loss in rows.losses() {
        assert!(loss.values > 0 && loss.first_row > 0, "{loss:?}");
    }
    Ok(())
}

fn check(session: &Shared, purposes: Vec<Purpose>, all_schemas: bool) -> Result<()> {
    let options = CheckOptions {
        purposes,
        all_schemas,
    };
    check::check(&mut session.borrow_mut(), &options).map(drop)
}

fn upsert(duplicates: Duplicates) -> WriteMode {
    WriteMode::Upsert(Upsert {
        key: Vec::new(),
        duplicates,
    })
}

/// Writes two rows.
fn write(session: &Shared, table: &str, mode: WriteMode, dry_run: bool) -> Result<()> {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int32, false),
        Field::new("name", DataType::Utf8, true),
    ]);
    let mut ids = ColumnBuilder::new(Layout::Fixed(4), 2);
    let mut names = ColumnBuilder::new(Layout::Variable, 2);
    for id in [5_i32, 6] {
        ids.push_fixed(id.to_le_bytes());
    }
    names.push_bytes("Zoë".as_bytes());
    names.push_null();
    let options = WriteOptions {
        mode,
        types: Vec::new(),
        dry_run,
    };
    let schema = ipc::schema_message(&schema)?;
    let mut sink = write::write(session, None, table, &schema, &options)?;
    sink.write(ipc::batch_message([&ids, &names], 2))?;
    sink.finish().map(drop)
}
