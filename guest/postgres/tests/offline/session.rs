//! A session with a peer that does not behave.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema};
use dagflux_guest::BatchLimits;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{WriteMode, WriteOptions};
use dagflux_postgres::rows::{Rows, Shared};
use dagflux_postgres::session::{Parameters, Session, Startup};
use dagflux_postgres::types::ledger::Choices;
use dagflux_postgres::{cancel, query, write};

use crate::script::{FixedLogin, Script, Told, error_response, message, welcome};

/// Runs a query that fails at values that do not fit.
pub fn rows_of_query(
    session: &Shared,
    sql: &str,
    limits: BatchLimits,
) -> dagflux_guest::Result<Rows> {
    query::query(session, sql, limits, &Choices::default())
}

/// Begins to append rows to a table, or to a table that it creates.
pub fn insert(
    session: &Shared,
    schema: Option<&str>,
    table: &str,
    arrow: &[u8],
    create: bool,
) -> dagflux_guest::Result<write::Sink> {
    let mode = match create {
        true => WriteMode::Create,
        false => WriteMode::Append,
    };
    let options = WriteOptions {
        mode,
        types: Vec::new(),
        dry_run: false,
    };
    write::write(session, schema, table, arrow, &options)
}

/// Batches of a few rows.
pub const LIMITS: BatchLimits = BatchLimits {
    rows: 100,
    bytes: 1 << 20,
};

/// What a session is opened with here.
pub fn parameters() -> Parameters {
    Parameters {
        database: "db".to_owned(),
        schema: "odd \"name\"".to_owned(),
        application_name: "tests".to_owned(),
        statement_timeout: Some(Duration::from_millis(1500)),
        encrypted: false,
        startup: Startup::Complete,
    }
}

fn open(lines: impl IntoIterator<Item = Vec<u8>>) -> (dagflux_guest::Result<Session>, Told) {
    let (channel, told) = Script::speaking(lines);
    (Session::open(channel, parameters(), &FixedLogin), told)
}

fn refused(lines: impl IntoIterator<Item = Vec<u8>>) -> ErrorKind {
    match open(lines).0 {
        Ok(_) => panic!("it was let in"),
        Err(error) => {
            assert!(error.has_hint(), "{error}");
            error.kind()
        }
    }
}

fn contains(told: &Told, part: &[u8]) -> bool {
    told.borrow()
        .windows(part.len())
        .any(|window| window == part)
}

#[test]
fn the_startup_message_carries_everything_the_session_needs() {
    let (session, told) = open([welcome()]);
    let session = session.expect("a session");
    for part in [
        &b"user\0someone\0"[..],
        b"database\0db\0",
        b"application_name\0tests\0",
        b"client_encoding\0UTF8\0",
        b"search_path\0\"odd \"\"name\"\"\"\0",
        b"statement_timeout\x001500\0",
        b"DateStyle\0ISO\0",
        b"IntervalStyle\0postgres\0",
        b"extra_float_digits\x003\0",
    ] {
        assert!(contains(&told, part), "{}", part.escape_ascii());
    }
    assert_eq!(session.version(), 150_008);
    let token = cancel::token(session.cancel_key().expect("a key"));
    assert_eq!(token, b"\x01\x00\x00\x00\x2a\x00\x00\x00\x07");
    assert!(cancel::key(&token).is_ok_and(|key| key.process == 42 && key.secret == 7));
    assert!(cancel::key(&token[1..]).is_err());
    drop(session);
    assert!(told.borrow().ends_with(b"X\0\0\0\x04"), "no good-bye");
}

#[test]
fn a_login_arrives_in_pieces() {
    let bytes = welcome();
    let (session, _) = open(bytes.chunks(1).map(<[u8]>::to_vec));
    assert!(session.is_ok());
    for length in 0..bytes.len() {
        assert_eq!(
            refused([bytes[..length].to_vec()]),
            ErrorKind::ConnectionLost
        );
    }
}

#[test]
fn scram_and_md5_go_through_the_credentials() {
    let sasl = message(b'R', b"\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00");
    let challenge = message(b'R', b"\x00\x00\x00\x0bserver-first");
    let outcome = message(b'R', b"\x00\x00\x00\x0cserver-final");
    let (session, told) = open([sasl.clone(), challenge.clone(), outcome.clone(), welcome()]);
    assert!(session.is_ok());
    assert!(contains(
        &told,
        b"p\0\0\0\x22SCRAM-SHA-256\0\0\0\0\x0cclient-first"
    ));
    assert!(contains(&told, b"p\0\0\0\x10client-final"));

    // A server that lets us in without its proof is not trusted.
    assert_eq!(
        refused([sasl.clone(), challenge, welcome()]),
        ErrorKind::Authentication
    );
    assert_eq!(refused([sasl.clone(), sasl]), ErrorKind::Protocol);
    assert_eq!(refused([outcome]), ErrorKind::Protocol);

    let (session, told) = open([message(b'R', b"\x00\x00\x00\x05salt"), welcome()]);
    assert!(session.is_ok());
    assert!(contains(&told, b"p\0\0\0\x0emd5digest\0"));
}

#[test]
fn other_logins_are_refused_with_the_next_step() {
    for code in [2, 3, 7, 9] {
        let request = message(b'R', &[0, 0, 0, code]);
        let kind = refused([request]);
        let expected = match code {
            2 => ErrorKind::Protocol,
            _ => ErrorKind::Authentication,
        };
        assert_eq!(kind, expected, "{code}");
    }
}

#[test]
fn a_server_that_is_something_else_is_told_apart() {
    assert_eq!(
        refused([b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]),
        ErrorKind::Protocol
    );
    assert_eq!(
        refused([b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()]),
        ErrorKind::Protocol
    );
    assert_eq!(refused([]), ErrorKind::ConnectionLost);
    assert_eq!(refused([message(b'Z', b"?")]), ErrorKind::Protocol);
}

#[test]
fn a_fatal_error_is_the_reason_that_is_given() {
    for (code, kind) in [
        ("28P01", ErrorKind::Authentication),
        ("3D000", ErrorKind::DatabaseNotFound),
        ("53300", ErrorKind::ServerResources),
        ("57P03", ErrorKind::ServerShutdown),
    ] {
        let error = error_response(&[(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', "no")]);
        assert_eq!(refused([error]), kind);
    }
}

/// A session, and what the peer says to the first query.
fn ask(lines: Vec<Vec<u8>>) -> dagflux_guest::Error {
    let mut script = vec![welcome()];
    script.extend(lines);
    let (session, _) = open(script);
    let session = Rc::new(RefCell::new(session.expect("a session")));
    let result = rows_of_query(&session, "SELECT 1", LIMITS).and_then(|mut rows| {
        while rows.next_batch()?.is_some() {}
        Ok(())
    });
    result.expect_err("a failure")
}

/// The description of one `integer` column.
pub fn described() -> Vec<u8> {
    [
        message(b'C', b"BEGIN\0"),
        message(b'Z', b"T"),
        message(b'1', b""),
        message(b't', b"\x00\x00"),
        message(b'T', b"\x00\x01n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"),
        message(b'Z', b"T"),
    ]
    .concat()
}

/// A row of it.
pub const ROW: &[u8] = b"\x00\x01\x00\x00\x00\x04\x00\x00\x00\x05";

#[test]
fn a_result_that_breaks_off_is_an_error_and_not_an_end() {
    let bound = message(b'2', b"");
    let row = message(b'D', ROW);
    assert_eq!(ask(vec![]).kind(), ErrorKind::ConnectionLost);
    assert_eq!(ask(vec![described()]).kind(), ErrorKind::ConnectionLost);
    let rows = [described(), bound.clone(), row.clone()].concat();
    assert_eq!(ask(vec![rows.clone()]).kind(), ErrorKind::ConnectionLost);
    let complete = [rows.clone(), message(b'C', b"SELECT 1\0")].concat();
    assert_eq!(ask(vec![complete]).kind(), ErrorKind::ConnectionLost);

    // The server says that it is going, as an error or as a remark.
    let going = [
        (b'S', "FATAL"),
        (b'V', "FATAL"),
        (b'C', "57P01"),
        (b'M', "going down"),
    ];
    let mut going = error_response(&going);
    assert_eq!(
        ask(vec![rows.clone(), going.clone()]).kind(),
        ErrorKind::ServerShutdown
    );
    going[0] = b'N';
    assert_eq!(ask(vec![rows, going]).kind(), ErrorKind::ServerShutdown);
}

#[test]
fn rows_that_are_not_as_announced_are_a_violation() {
    for body in [
        &b""[..],
        b"\x00",
        b"\x00\x00",
        b"\x00\x02\x00\x00\x00\x04\x00\x00\x00\x05",
        b"\x00\x01\x00\x00\x00\x05\x00\x00\x00\x05",
        b"\x00\x01\x00\x00\x00\x03\x00\x00\x05",
        b"\x00\x01\xff\xff\xff\xfe",
        b"\x00\x01\x7f\xff\xff\xff",
        b"\x00\x01\x00\x00\x00\x04\x00\x00\x00\x05\x00",
    ] {
        let answer = [described(), message(b'2', b""), message(b'D', body)].concat();
        let error = ask(vec![answer]);
        assert_eq!(error.kind(), ErrorKind::Protocol, "{}", body.escape_ascii());
    }
    let mut huge = [described(), message(b'2', b"")].concat();
    huge.extend_from_slice(b"D\xff\xff\xff\xff");
    assert_eq!(ask(vec![huge]).kind(), ErrorKind::Protocol);
    // A row that PostgreSQL can send, but that is more than is carried.
    let mut long = [described(), message(b'2', b"")].concat();
    long.extend_from_slice(b"D\x10\x00\x00\x00");
    assert_eq!(ask(vec![long]).kind(), ErrorKind::Value);
}

/// There is nothing to stop any more, and nobody to believe.
#[test]
fn a_server_that_broke_the_protocol_is_not_asked_for_more() {
    for (rows, count) in [
        (
            &b"\x00\x02\x00\x00\x00\x04\x00\x00\x00\x05"[..],
            "SELECT 1\0",
        ),
        (ROW, "SELECT 2\0"),
    ] {
        let answer = [
            described(),
            message(b'2', b""),
            message(b'D', rows),
            message(b'C', count.as_bytes()),
        ];
        let (session, told) = open([welcome(), answer.concat()]);
        let mut session = session.expect("a session");
        let dialled = Rc::new(Cell::new(0));
        let dials = Rc::clone(&dialled);
        session.set_dial(Box::new(move || {
            dials.set(dials.get() + 1);
            Ok(Script::speaking([]).0)
        }));
        let session = Rc::new(RefCell::new(session));
        let mut rows = rows_of_query(&session, "SELECT 1", LIMITS).expect("rows");
        let error = rows.next_batch().expect_err("a violation");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let before = told.borrow().len();
        drop(rows);
        assert!(session.borrow().is_lost());
        assert_eq!((dialled.get(), told.borrow().len()), (0, before));
    }
}

/// What the catalog says would otherwise be believed with a row less, or one twice.
#[test]
fn rows_of_the_catalog_are_counted() {
    let column = row_of(&["n", "23", "-1", "f", "", ""]);
    let begun = [message(b'C', b"BEGIN\0"), message(b'Z', b"T")].concat();
    for (rows, count, words) in [
        (
            column.repeat(2),
            "SELECT 1",
            "2 rows, of which the server counts 1",
        ),
        (
            column.clone(),
            "SELECT 2",
            "1 rows, of which the server counts 2",
        ),
        (column, "", "in place of the end of a catalog query"),
    ] {
        let end = match count {
            "" => Vec::new(),
            count => message(b'C', format!("{count}\0").as_bytes()),
        };
        let answer = [
            begun.clone(),
            message(b'1', b""),
            message(b'2', b""),
            rows,
            end,
            message(b'Z', b"T"),
        ];
        let (session, _) = open([welcome(), answer.concat()]);
        let session = Rc::new(RefCell::new(session.expect("a session")));
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
        let schema = dagflux_guest::ipc::schema_message(&schema).expect("a schema");
        let error = insert(&session, None, "t", &schema, false)
            .err()
            .expect("a violation");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.message().contains(words), "{error}");
        assert!(session.borrow().is_lost());
    }
}

/// The number becomes part of a statement that a person is told to run.
#[test]
fn the_number_of_a_transaction_is_a_number() {
    for (number, is_told) in [("4711", true), ("1); DROP TABLE t --", false), ("", false)] {
        let told = [
            message(b'T', b"\x00\x01t\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14\x00\x08\xff\xff\xff\xff\x00\x00"),
            row_of(&[number]),
            message(b'C', b"SELECT 1\0"),
            message(b'Z', b"T"),
            message(b'G', b"\x01\x00\x01\x00\x01"),
        ];
        let copied = [message(b'C', b"COPY 0\0"), message(b'Z', b"T")].concat();
        let (session, _) = open([welcome(), column_of_the_table(), told.concat(), copied]);
        let session = Rc::new(RefCell::new(session.expect("a session")));
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
        let schema = dagflux_guest::ipc::schema_message(&schema).expect("a schema");
        let mut sink = insert(&session, None, "t", &schema, false).expect("a sink");
        let error = sink.finish().expect_err("no answer to the COMMIT");
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        let record = error.as_record();
        let hint = record.hint.clone().unwrap_or_default();
        assert_eq!(hint.contains("txid_status(4711)"), is_told, "{hint}");
        assert!(!hint.contains("DROP"), "{hint}");
        let attributes = &record.attributes;
        assert_eq!(
            attributes.iter().any(|(name, _)| name == "transaction"),
            is_told
        );
    }
}

#[test]
fn rows_that_the_server_counts_otherwise_are_a_violation() {
    for tag in [&b"SELECT 2\0"[..], b"SELECT 0\0"] {
        let answer = [
            described(),
            message(b'2', b""),
            message(b'D', ROW),
            message(b'C', tag),
            message(b'Z', b"T"),
            message(b'C', b"ROLLBACK\0"),
            message(b'Z', b"I"),
        ]
        .concat();
        assert_eq!(ask(vec![answer]).kind(), ErrorKind::Protocol);
    }
}

#[test]
fn a_login_and_a_query_take_as_few_flights_as_they_can() {
    let sasl = message(b'R', b"\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00");
    let challenge = message(b'R', b"\x00\x00\x00\x0bserver-first");
    let outcome = message(b'R', b"\x00\x00\x00\x0cserver-final");
    let answer = [
        message(b'2', b""),
        message(b'D', ROW),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"T"),
        message(b'C', b"ROLLBACK\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let lines = [
        sasl,
        challenge,
        [outcome, welcome()].concat(),
        described(),
        answer,
    ];
    let (channel, _, flights) = Script::counting(lines);
    let session = Session::open(channel, parameters(), &FixedLogin).expect("a session");
    assert_eq!(flights.get(), 3, "startup, client-first, client-final");
    let session = Rc::new(RefCell::new(session));
    let mut rows = rows_of_query(&session, "SELECT 1", LIMITS).expect("rows");
    assert!(rows.next_batch().is_ok_and(|batch| batch.is_some()));
    assert!(rows.next_batch().is_ok_and(|batch| batch.is_none()));
    assert_eq!(flights.get(), 5, "describe, run");
}

/// A row of text.
fn row_of(values: &[&str]) -> Vec<u8> {
    let mut row = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        row.extend_from_slice(&(value.len() as u32).to_be_bytes());
        row.extend_from_slice(value.as_bytes());
    }
    message(b'D', &row)
}

/// The answer to a question with rows.
fn answered(rows: Vec<u8>) -> Vec<u8> {
    let command: &[u8] = match rows.is_empty() {
        true => b"SELECT 0\0",
        false => b"SELECT 1\0",
    };
    [
        message(b'1', b""),
        message(b'2', b""),
        rows,
        message(b'C', command),
        message(b'Z', b"T"),
    ]
    .concat()
}

/// A table with an integer column `n`, as the catalog tells of it.
pub fn column_of_the_table() -> Vec<u8> {
    [
        message(b'C', b"BEGIN\0"),
        message(b'Z', b"T"),
        answered(row_of(&["n", "23", "-1", "f", "", ""])),
        answered(row_of(&["r", "f", "t", "t", "t", "t", "t", "t", "db"])),
        answered(Vec::new()),
    ]
    .concat()
}

/// The number of the transaction, and that rows are expected.
pub fn rows_expected() -> Vec<u8> {
    [
        message(b'T', b"\x00\x01t\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14\x00\x08\xff\xff\xff\xff\x00\x00"),
        row_of(&["4711"]),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"T"),
        message(b'G', b"\x01\x00\x01\x00\x01"),
    ]
    .concat()
}

#[test]
fn a_commit_without_an_answer_has_an_unknown_outcome() {
    let begun = [welcome(), column_of_the_table(), rows_expected()];
    let copied = [message(b'C', b"COPY 0\0"), message(b'Z', b"T")].concat();
    let committed = [message(b'C', b"COMMIT\0"), message(b'Z', b"I")].concat();
    let rolled_back = [message(b'C', b"ROLLBACK\0"), message(b'Z', b"I")].concat();
    let refused = [
        error_response(&[
            (b'V', "ERROR"),
            (b'C', "23503"),
            (b'M', "violates a deferred constraint"),
        ]),
        message(b'Z', b"I"),
    ]
    .concat();
    for (lines, outcome) in [
        (vec![copied.clone(), committed], Ok(0)),
        (vec![], Err(ErrorKind::ConnectionLost)),
        (vec![copied.clone()], Err(ErrorKind::OutcomeUnknown)),
        (
            vec![copied.clone(), message(b'C', b"COMMIT\0")],
            Err(ErrorKind::OutcomeUnknown),
        ),
        (vec![copied.clone(), rolled_back], Err(ErrorKind::Other)),
        (vec![copied.clone(), refused], Err(ErrorKind::Constraint)),
        // More rows than were sent.
        (
            vec![[message(b'C', b"COPY 5\0"), message(b'Z', b"T")].concat()],
            Err(ErrorKind::Protocol),
        ),
        // Answers that cannot be made out.
        (
            vec![copied.clone(), message(b'C', b"\xff\0")],
            Err(ErrorKind::OutcomeUnknown),
        ),
        (
            vec![
                copied.clone(),
                message(b'C', b"DELETE 1\0"),
                message(b'Z', b"I"),
            ],
            Err(ErrorKind::OutcomeUnknown),
        ),
        (
            vec![copied.clone(), message(b'Z', b"I")],
            Err(ErrorKind::OutcomeUnknown),
        ),
        (
            vec![copied.clone(), message(b'n', b"")],
            Err(ErrorKind::OutcomeUnknown),
        ),
        (
            vec![copied, message(b'?', b"")],
            Err(ErrorKind::OutcomeUnknown),
        ),
    ] {
        let (session, told) = open(begun.iter().cloned().chain(lines));
        let session = Rc::new(RefCell::new(session.expect("a session")));
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
        let schema = dagflux_guest::ipc::schema_message(&schema).expect("a schema");
        let mut sink = insert(&session, None, "t", &schema, false).expect("a sink");
        let result = sink.finish();
        if let Err(error) = &result
            && error.kind() == ErrorKind::OutcomeUnknown
        {
            let hint = error.as_record().hint.clone().unwrap_or_default();
            assert!(hint.contains("SELECT txid_status(4711)"), "{hint}");
            let transaction = ("transaction".to_owned(), "4711".to_owned());
            assert!(error.as_record().attributes.contains(&transaction));
        }
        assert_eq!(
            result
                .map(|report| report.inserted)
                .map_err(|error| error.kind()),
            outcome
        );
        assert!(contains(
            &told,
            b"COPY \"odd \"\"name\"\"\".\"t\" (\"n\") FROM STDIN (FORMAT binary)\0"
        ));
    }
}

#[test]
fn a_dry_run_never_has_an_unknown_outcome() {
    let begun = [welcome(), column_of_the_table(), rows_expected()];
    let copied = [message(b'C', b"COPY 0\0"), message(b'Z', b"T")].concat();
    let looked = [
        message(b'1', b""),
        message(b'2', b""),
        message(b'C', b"SET CONSTRAINTS\0"),
        message(b'Z', b"T"),
    ]
    .concat();
    let rolled_back = [message(b'C', b"ROLLBACK\0"), message(b'Z', b"I")].concat();
    for (lines, outcome) in [
        (vec![copied.clone(), looked.clone(), rolled_back], Ok(0)),
        (vec![copied.clone(), looked], Err(ErrorKind::ConnectionLost)),
        (vec![copied], Err(ErrorKind::ConnectionLost)),
    ] {
        let (session, told) = open(begun.iter().cloned().chain(lines));
        let session = Rc::new(RefCell::new(session.expect("a session")));
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
        let schema = dagflux_guest::ipc::schema_message(&schema).expect("a schema");
        let options = WriteOptions {
            mode: WriteMode::Append,
            types: Vec::new(),
            dry_run: true,
        };
        let mut sink = write::write(&session, None, "t", &schema, &options).expect("a sink");
        let result = sink.finish();
        assert_eq!(
            result
                .map(|report| report.inserted)
                .map_err(|error| error.kind()),
            outcome
        );
        assert!(!contains(&told, b"COMMIT\0"));
    }
}

/// The answer to whether the settings hold, which is asked before the first statement.
fn holding() -> Vec<u8> {
    let path = br#""odd ""name""""#;
    let length = u32::try_from(path.len()).expect("a short name");
    let row = [&[0, 1][..], &length.to_be_bytes(), path].concat();
    [
        message(b'1', b""),
        message(b'2', b""),
        message(b'D', &row),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ]
    .concat()
}

#[test]
fn a_change_without_an_answer_has_an_unknown_outcome() {
    let going = error_response(&[(b'V', "FATAL"), (b'C', "57P01"), (b'M', "going down")]);
    let mut warning = going.clone();
    warning[0] = b'N';
    let deadlock = [
        error_response(&[(b'V', "ERROR"), (b'C', "40P01"), (b'M', "deadlock")]),
        message(b'Z', b"I"),
    ]
    .concat();
    let bound = [message(b'1', b""), message(b'2', b"")].concat();
    // The server commits between telling what it did and being ready again.
    let told = [bound.clone(), message(b'C', b"DELETE 2\0")].concat();
    let copying = [bound.clone(), message(b'G', b"\x00\x00\x00")].concat();
    for (lines, outcome, retryable) in [
        (vec![], ErrorKind::OutcomeUnknown, false),
        (vec![warning], ErrorKind::OutcomeUnknown, false),
        (vec![going.clone()], ErrorKind::ServerShutdown, true),
        (vec![deadlock.clone()], ErrorKind::Conflict, true),
        (vec![bound.clone()], ErrorKind::OutcomeUnknown, false),
        (
            vec![bound.clone(), going.clone()],
            ErrorKind::ServerShutdown,
            false,
        ),
        (vec![bound.clone(), deadlock], ErrorKind::Conflict, true),
        (vec![told.clone()], ErrorKind::OutcomeUnknown, false),
        (vec![told, going], ErrorKind::OutcomeUnknown, false),
        (
            vec![bound, message(b'n', b"")],
            ErrorKind::OutcomeUnknown,
            false,
        ),
        (vec![copying], ErrorKind::OutcomeUnknown, false),
    ] {
        let (session, _) = open([welcome(), holding()].into_iter().chain(lines));
        let session = Rc::new(RefCell::new(session.expect("a session")));
        let error = query::execute(&session, "DELETE FROM t").expect_err("a failure");
        assert_eq!(error.kind(), outcome);
        assert_eq!(error.as_record().retryable, retryable, "{error}");
    }
}

#[test]
fn a_statement_with_a_nul_is_refused_and_the_session_lives_on() {
    let answer = [
        message(b'C', b"BEGIN\0"),
        message(b'Z', b"T"),
        message(b'C', b"ROLLBACK\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let deleted = [
        message(b'1', b""),
        message(b'2', b""),
        message(b'C', b"DELETE 2\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let (session, _) = open([welcome(), answer, holding(), deleted]);
    let session = Rc::new(RefCell::new(session.expect("a session")));
    let error = match rows_of_query(&session, "SELECT '\0'", LIMITS) {
        Ok(_) => panic!("it was sent"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Syntax);
    let error = query::execute(&session, "SELECT '\0'").expect_err("it was sent");
    assert_eq!(error.kind(), ErrorKind::Syntax);
    let done = query::execute(&session, "DELETE FROM t");
    assert!(done.is_ok_and(|done| done.rows == Some(2)));
}
