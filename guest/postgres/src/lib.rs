//! The PostgreSQL connector.
//!
//! A component that speaks PostgreSQL's protocol over `wasi:sockets` and Arrow IPC to its
//! host. Data flows one way through these modules, and each depends on those before it:
//!
//! | module | what it does |
//! |---|---|
//! | [`protocol`] | messages as bytes, without I/O: frames in place, parse, build |
//! | [`types`] | PostgreSQL's types and Arrow's: mapping, rows to columns, columns to rows |
//! | [`dialect`], [`keywords`], [`sqlstate`], [`place`] | quoting; what the server's errors mean, what to do next, and which row they are about |
//! | [`auth`] | logging in through the host's `credentials`, without the password |
//! | [`cancel`] | stopping a statement from a second connection |
//! | [`session`] | one connection: login, flights of requests, `ReadyForQuery`, notices, its end |
//! | [`plan`], [`rows`] | what a statement returns, before it runs; its rows, as they come |
//! | [`query`], [`read`], [`mod@write`], [`transaction`], [`catalog`], [`comments`], [`check`], [`examine`], [`prompt`] | the operations |
//! | [`descriptor`], [`connect`] | the connection form, and from it to a channel |
//!
//! This file is the glue between the contract's traits and those modules, and no more.
//!
//! Everything but the glue, [`connect`] and the socket also runs natively: the seams are
//! [`dagflux_guest::Channel`] and [`auth::Credentials`], which is how the tests run it.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod auth;
pub mod cancel;
pub mod catalog;
pub mod check;
pub mod comments;
pub mod connect;
pub mod descriptor;
pub mod dialect;
pub mod examine;
pub mod keywords;
pub mod place;
pub mod plan;
pub mod prompt;
pub mod protocol;
pub mod query;
pub mod read;
pub mod rows;
pub mod session;
pub mod sqlstate;
pub mod transaction;
pub mod types;
pub mod write;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use dagflux_guest::BatchLimits;
use dagflux_guest::bindings::dagflux::connector::types::{Error as WitError, Notice, TableName};
use dagflux_guest::bindings::exports::dagflux::connector::descriptor::{
    self as wit_descriptor, About,
};
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    self, CancelToken, CheckOptions, Column, Connection, Examination, Lock, Loss, OpenOptions,
    Outcome, Prompt, PromptOptions, Purpose, ReadOptions, Report, RowStream, Schema, SetUpNames,
    SetUpStatement, StreamOptions, Table, TransactionOptions, WriteOptions, WriteReport,
};

use read::Selection;
use rows::{Rows, Shared};
use types::ledger::Choices;

/// The component.
pub struct Connector;

#[cfg(target_arch = "wasm32")]
dagflux_guest::bindings::export!(Connector);

/// The resource `connection`.
pub struct OpenConnection(Shared);

/// The resource `row-stream`.
pub struct OpenRows(RefCell<Rows>);

/// The resource `sink`.
pub struct OpenSink(RefCell<write::Sink>);

impl wit_descriptor::Guest for Connector {
    fn describe() -> About {
        descriptor::about()
    }
}

impl relational::Guest for Connector {
    type Connection = OpenConnection;
    type RowStream = OpenRows;
    type Sink = OpenSink;

    fn set_up(purposes: Vec<Purpose>, names: SetUpNames) -> Result<Vec<SetUpStatement>, WitError> {
        Ok(check::set_up::set_up(&purposes, &names)?)
    }

    fn cancel(token: CancelToken) -> Result<(), WitError> {
        Ok(cancel::send(
            connect::second_channel()?,
            cancel::key(&token)?,
        )?)
    }
}

fn limits(options: &StreamOptions) -> BatchLimits {
    BatchLimits::new(options.batch.rows, options.batch.bytes)
}

fn row_stream(rows: Rows) -> RowStream {
    RowStream::new(OpenRows(RefCell::new(rows)))
}

impl relational::GuestConnection for OpenConnection {
    fn open(options: OpenOptions) -> Result<Connection, WitError> {
        let timeout = options
            .statement_timeout_ms
            .map(|timeout| Duration::from_millis(timeout.into()));
        let session = connect::open(options.application_name, timeout)?;
        Ok(Connection::new(OpenConnection(Rc::new(RefCell::new(
            session,
        )))))
    }

    fn cancel_token(&self) -> Option<CancelToken> {
        self.0.borrow().cancel_key().map(cancel::token)
    }

    fn check(&self, options: CheckOptions) -> Result<Report, WitError> {
        Ok(check::check(&mut self.0.borrow_mut(), &options)?)
    }

    fn schemas(&self) -> Result<Vec<Schema>, WitError> {
        Ok(catalog::schemas(&mut self.0.borrow_mut())?)
    }

    fn tables(&self, schema: Option<String>) -> Result<Vec<Table>, WitError> {
        let mut session = self.0.borrow_mut();
        Ok(catalog::tables(&mut session, schema.as_deref())?)
    }

    fn columns(
        &self,
        schema: Option<String>,
        table: Option<String>,
    ) -> Result<Vec<Column>, WitError> {
        let mut session = self.0.borrow_mut();
        Ok(catalog::columns(
            &mut session,
            schema.as_deref(),
            table.as_deref(),
        )?)
    }

    fn preview(
        &self,
        table: TableName,
        rows: u32,
        options: StreamOptions,
    ) -> Result<RowStream, WitError> {
        let selection = Selection {
            columns: None,
            limit: Some(rows.into()),
        };
        let rows = read::read(
            &self.0,
            table.schema.as_deref(),
            &table.name,
            &selection,
            limits(&options),
            &Choices::from(&options),
        )?;
        Ok(row_stream(rows))
    }

    fn read(&self, table: TableName, options: ReadOptions) -> Result<RowStream, WitError> {
        let selection = Selection {
            columns: options.columns,
            limit: options.limit,
        };
        let rows = read::read(
            &self.0,
            table.schema.as_deref(),
            &table.name,
            &selection,
            limits(&options.stream),
            &Choices::from(&options.stream),
        )?;
        Ok(row_stream(rows))
    }

    fn query(&self, sql: String, options: StreamOptions) -> Result<RowStream, WitError> {
        let choices = Choices::from(&options);
        let rows = query::query(&self.0, &sql, limits(&options), &choices)?;
        Ok(row_stream(rows))
    }

    fn execute(&self, sql: String) -> Result<Outcome, WitError> {
        let query::Outcome { command, rows } = query::execute(&self.0, &sql)?;
        Ok(Outcome { command, rows })
    }

    fn write(
        &self,
        table: TableName,
        schema: Vec<u8>,
        options: WriteOptions,
    ) -> Result<relational::Sink, WitError> {
        let sink = write::write(
            &self.0,
            table.schema.as_deref(),
            &table.name,
            &schema,
            &options,
        )?;
        Ok(relational::Sink::new(OpenSink(RefCell::new(sink))))
    }

    fn store(
        &self,
        sql: String,
        table: TableName,
        options: WriteOptions,
    ) -> Result<WriteReport, WitError> {
        let mut session = self.0.borrow_mut();
        Ok(write::store(
            &mut session,
            &sql,
            table.schema.as_deref(),
            &table.name,
            &options,
        )?)
    }

    fn copy_comments(&self, source: TableName, to: TableName) -> Result<Vec<String>, WitError> {
        let mut session = self.0.borrow_mut();
        Ok(comments::copy(&mut session, &source, &to)?)
    }

    fn begin(&self, options: TransactionOptions) -> Result<(), WitError> {
        let mut session = self.0.borrow_mut();
        Ok(transaction::begin(
            &mut session,
            options.read_only,
            options.snapshot,
        )?)
    }

    fn commit(&self) -> Result<(), WitError> {
        Ok(transaction::commit_held(&mut self.0.borrow_mut())?)
    }

    fn roll_back(&self) -> Result<(), WitError> {
        Ok(transaction::roll_back(&mut self.0.borrow_mut())?)
    }

    fn locks(&self) -> Result<Vec<Lock>, WitError> {
        Ok(transaction::locks(&mut self.0.borrow_mut())?)
    }

    fn examine(&self, sql: String) -> Result<Examination, WitError> {
        Ok(examine::examine(&mut self.0.borrow_mut(), &sql)?)
    }

    fn prompt(&self, options: PromptOptions) -> Result<Prompt, WitError> {
        Ok(prompt::prompt(&mut self.0.borrow_mut(), &options)?)
    }

    fn take_notices(&self) -> Vec<Notice> {
        self.0.borrow_mut().take_notices()
    }

    fn close(&self) -> Result<(), WitError> {
        let mut session = self.0.borrow_mut();
        session.come_to_rest()?;
        session.close();
        Ok(())
    }
}

impl relational::GuestRowStream for OpenRows {
    fn schema(&self) -> Vec<u8> {
        self.0.borrow().schema().to_vec()
    }

    fn next(&self) -> Result<Option<Vec<u8>>, WitError> {
        Ok(self.0.borrow_mut().next_batch()?)
    }

    fn losses(&self) -> Vec<Loss> {
        self.0.borrow().losses()
    }
}

impl relational::GuestSink for OpenSink {
    fn write(&self, batch: Vec<u8>) -> Result<(), WitError> {
        Ok(self.0.borrow_mut().write(batch)?)
    }

    fn finish(&self) -> Result<WriteReport, WitError> {
        Ok(self.0.borrow_mut().finish()?)
    }
}
