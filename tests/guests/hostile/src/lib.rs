//! A connector that misbehaves on demand.
//!
//! It opens without a server, unless its field `login` says so. After that each statement is
//! the name of a misbehaviour, with an argument where one is needed: [`attacks`] are those of
//! `execute`, [`rows`] those of `query`. `execute("ping")` answers properly, to show that it
//! still can. What a connector must not get to see it may be handed in the field `keep`.

mod attacks;
mod descriptor;
mod rows;
mod server;

use std::cell::RefCell;

use dagflux_guest::bindings::dagflux::connector::types::{
    Error as WitError, ErrorKind, Notice, TableName,
};
use dagflux_guest::bindings::exports::dagflux::connector::descriptor as wit_descriptor;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    self, CancelToken, CheckOptions, Column, Connection, Loss, OpenOptions, Outcome, Purpose,
    ReadOptions, Report, RowStream, Schema, SetUpNames, SetUpStatement, Sink, StreamOptions, Table,
    WriteOptions, WriteReport,
};
use dagflux_guest::{Error, config};

use server::Server;

/// The component.
pub struct Connector;

#[cfg(target_arch = "wasm32")]
dagflux_guest::bindings::export!(Connector);

impl wit_descriptor::Guest for Connector {
    fn describe() -> wit_descriptor::About {
        descriptor::about()
    }
}

/// The resource `connection`.
pub struct OpenConnection {
    server: RefCell<Option<Server>>,
    /// What was handed over in the clear.
    keep: RefCell<Vec<String>>,
}

/// The resource `row-stream`.
pub struct OpenRows(rows::Rows);

/// The resource `sink`, of which there is none.
pub struct OpenSink;

impl relational::Guest for Connector {
    type Connection = OpenConnection;
    type RowStream = OpenRows;
    type Sink = OpenSink;

    fn set_up(_: Vec<Purpose>, _: SetUpNames) -> Result<Vec<SetUpStatement>, WitError> {
        Err(not_offered())
    }

    fn cancel(token: CancelToken) -> Result<(), WitError> {
        Ok(server::cancel(&token)?)
    }
}

fn not_offered() -> WitError {
    Error::new(ErrorKind::Unsupported, "this connector only misbehaves").into()
}

impl relational::GuestConnection for OpenConnection {
    fn open(_: OpenOptions) -> Result<Connection, WitError> {
        let server = match config::boolean("login")? {
            true => Some(Server::login()?),
            false => None,
        };
        let keep = config::text_if_given("keep")?.into_iter().collect();
        Ok(Connection::new(OpenConnection {
            server: RefCell::new(server),
            keep: RefCell::new(keep),
        }))
    }

    fn cancel_token(&self) -> Option<CancelToken> {
        self.server.borrow().as_ref().and_then(Server::token)
    }

    fn query(&self, sql: String, _: StreamOptions) -> Result<RowStream, WitError> {
        Ok(RowStream::new(OpenRows(rows::Rows::new(&sql)?)))
    }

    fn execute(&self, sql: String) -> Result<Outcome, WitError> {
        let (attack, argument) = sql.split_once(' ').unwrap_or((&sql, ""));
        let command = match attack {
            "server" => {
                let mut server = self.server.borrow_mut();
                let server = server
                    .as_mut()
                    .ok_or_else(|| Error::internal("not logged in"))?;
                server.send_query(argument)?;
                attacks::endless()
            }
            "keep" => {
                self.keep.borrow_mut().push(argument.to_owned());
                "kept".to_owned()
            }
            _ => attacks::run(attack, argument)?,
        };
        Ok(Outcome {
            command,
            rows: None,
        })
    }

    fn check(&self, _: CheckOptions) -> Result<Report, WitError> {
        Err(not_offered())
    }

    fn schemas(&self) -> Result<Vec<Schema>, WitError> {
        Err(not_offered())
    }

    fn tables(&self, _: Option<String>) -> Result<Vec<Table>, WitError> {
        Err(not_offered())
    }

    fn columns(&self, _: Option<String>, _: Option<String>) -> Result<Vec<Column>, WitError> {
        Err(not_offered())
    }

    fn preview(&self, _: TableName, _: u32, _: StreamOptions) -> Result<RowStream, WitError> {
        Err(not_offered())
    }

    fn read(&self, _: TableName, _: ReadOptions) -> Result<RowStream, WitError> {
        Err(not_offered())
    }

    fn write(&self, _: TableName, _: Vec<u8>, _: WriteOptions) -> Result<Sink, WitError> {
        Err(not_offered())
    }

    fn take_notices(&self) -> Vec<Notice> {
        Vec::new()
    }

    fn close(&self) -> Result<(), WitError> {
        Ok(())
    }
}

impl relational::GuestRowStream for OpenRows {
    fn schema(&self) -> Vec<u8> {
        self.0.schema()
    }

    fn next(&self) -> Result<Option<Vec<u8>>, WitError> {
        Ok(self.0.next())
    }

    fn losses(&self) -> Vec<Loss> {
        Vec::new()
    }
}

impl relational::GuestSink for OpenSink {
    fn write(&self, _: Vec<u8>) -> Result<(), WitError> {
        Err(not_offered())
    }

    fn finish(&self) -> Result<WriteReport, WitError> {
        Err(not_offered())
    }
}
