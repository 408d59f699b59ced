//! Whole conversations with bytes changed at random: each ends, in a result or an error, and
//! never in a panic. The sequence is the same in every run.

use std::cell::RefCell;
use std::rc::Rc;

use arrow_schema::{DataType, Field, Schema};
use dagflux_guest::bindings::exports::dagflux::connector::relational::CheckOptions;
use dagflux_guest::ipc;
use dagflux_postgres::session::Session;
use dagflux_postgres::{catalog, check, query};

use crate::script::{FixedLogin, Script, error_response, message, welcome};
use crate::session::{
    LIMITS, ROW, column_of_the_table, described, insert, parameters, rows_expected, rows_of_query,
};

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Changes, removes, repeats or inserts a few bytes.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.below(256) as u8),
            _ => {
                let end = (at + random.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

/// Holds the conversation in which the server says `bytes`, cut at random.
fn converse(bytes: &[u8], random: &mut Random, talk: impl FnOnce(&Rc<RefCell<Session>>)) {
    let mut rest = bytes;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at((1 + random.below(64)).min(rest.len()));
        lines.push(line.to_vec());
        rest = tail;
    }
    let (channel, _) = Script::speaking(lines);
    if let Ok(session) = Session::open(channel, parameters(), &FixedLogin) {
        talk(&Rc::new(RefCell::new(session)));
    }
}

const ROUNDS: usize = 20_000;

#[test]
fn queries_survive_any_answer() {
    let mut random = Random(0x5eed);
    let answer = [
        welcome(),
        described(),
        message(b'2', b""),
        message(b'D', ROW).repeat(5),
        message(b'C', b"SELECT 5\0"),
        message(b'Z', b"T"),
        error_response(&[(b'V', "ERROR"), (b'C', "57014"), (b'M', "no"), (b'P', "3")]),
        message(b'Z', b"E"),
        message(b'C', b"ROLLBACK\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    for _ in 0..ROUNDS {
        let mut bytes = answer.clone();
        mutate(&mut bytes, &mut random);
        converse(&bytes, &mut random, |session| {
            if let Ok(mut rows) = rows_of_query(session, "SELECT 1", LIMITS) {
                while rows.next_batch().is_ok_and(|batch| batch.is_some()) {}
            }
            let _ = query::execute(session, "DELETE FROM t");
        });
    }
}

#[test]
fn writes_and_catalog_queries_survive_any_answer() {
    let mut random = Random(0xcab1e);
    let answer = [
        welcome(),
        column_of_the_table(),
        rows_expected(),
        message(b'C', b"COPY 3\0"),
        message(b'Z', b"T"),
        message(b'C', b"COMMIT\0"),
        message(b'Z', b"I"),
        column_of_the_table(),
    ]
    .concat();
    let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
    let schema_message = ipc::schema_message(&schema).expect("a schema");
    for _ in 0..ROUNDS {
        let mut bytes = answer.clone();
        mutate(&mut bytes, &mut random);
        converse(&bytes, &mut random, |session| {
            if let Ok(mut sink) = insert(session, None, "t", &schema_message, false) {
                let _ = sink.finish();
            }
            let mut session = session.borrow_mut();
            let _ = catalog::schemas(&mut session);
            let everything = CheckOptions {
                purposes: Vec::new(),
                all_schemas: false,
            };
            let _ = check::check(&mut session, &everything);
        });
    }
}
