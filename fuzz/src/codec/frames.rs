//! Messages: where one ends, what it says, and what a failure means.

use std::time::Duration;

use dagflux_guest::Error;
use dagflux_postgres::protocol::backend::{self, Message};
use dagflux_postgres::protocol::frame::{self, Frame, HEADER, LONGEST, Split};
use dagflux_postgres::sqlstate::{self, Circumstances};
use dagflux_postgres::{place, query};
use postgres_protocol::message::backend::ErrorFields;

use super::Input;

/// Takes messages off the input for as long as there are whole ones.
pub fn run(input: &mut Input<'_>) {
    while let Some(frame) = next(input) {
        let Ok(message) = backend::parse(frame) else {
            continue;
        };
        match message {
            Message::ErrorResponse(body) => explain(body.fields()),
            Message::NoticeResponse(body) => explain(body.fields()),
            Message::RowDescription(body) => drop(backend::columns(&body)),
            Message::ParameterDescription(body) => drop(backend::parameter_count(&body)),
            Message::DataRow(body) => drop(backend::text_row(&body)),
            Message::AuthenticationSasl(body) => drop(backend::mechanisms(&body)),
            Message::CommandComplete(body) => drop(query::outcome(&body)),
            _ => {}
        }
    }
}

/// The message in front, taken off the input.
pub fn next<'a>(input: &mut Input<'a>) -> Option<Frame<'a>> {
    match frame::split(input.0) {
        Ok(Split::Frame(frame)) => {
            assert_eq!(frame.whole.len(), frame.body.len() + HEADER);
            assert_eq!(frame.whole, input.take(frame.whole.len()));
            Some(frame)
        }
        Ok(Split::Partial(needed)) => {
            assert!(needed > input.0.len() && needed <= LONGEST + 1, "{needed}");
            None
        }
        Err(violation) => {
            assert!(Error::from(violation).has_hint());
            None
        }
    }
}

fn explain(fields: ErrorFields<'_>) {
    let Ok(report) = &backend::report(fields) else {
        return;
    };
    let circumstances = Circumstances {
        timeout: Some(Duration::from_secs(10)),
        elapsed: Some(Duration::from_secs(10)),
    };
    let _ = place::of(report);
    let error = sqlstate::error(report, circumstances);
    assert!(error.has_hint(), "{error}");
    let error = sqlstate::about_login(error, report, "a database", "someone");
    let error = sqlstate::about_table(error, "SELECT", "a schema", "a table", "someone");
    assert!(error.has_hint(), "{error}");
}
