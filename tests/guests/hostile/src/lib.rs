//! A connector that misbehaves on demand.
//!
//! It opens without a server, unless its field `login` says so. After that each statement is
//! the name of a misbehaviour, with an argument where one is needed: [`attacks`] are those of
//! `execute`, [`rows`] those of `query`. `execute("ping")` answers properly, to show that it
//! still can. What a connector must not get to see it may be handed in the field `keep`.

mod attacks;
mod boundary;
mod descriptor;
mod lists;
mod realloc;
mod rows;
mod schemas;
mod server;

use std::cell::RefCell;

use dagflux_guest::bindings::dagflux::connector::types::{
    Error as WitError, ErrorKind, Notice, TableName,
};
use dagflux_guest::bindings::exports::dagflux::connector::descriptor as wit_descriptor;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    self, CancelToken, CheckOptions, Column, Connection, Examination, Lock, Loss, OpenOptions,
    Outcome, Prompt, PromptOptions, Purpose, ReadOptions, Report, RowStream, Schema, SetUpNames,
    SetUpStatement, Sink, StreamOptions, Table, TransactionOptions, WriteOptions, WriteReport,
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

/// The resource `sink`. What it does with rows is what the table is called.
pub struct OpenSink(String);

impl relational::Guest for Connector {
    type Connection = OpenConnection;
    type RowStream = OpenRows;
    type Sink = OpenSink;

    fn set_up(_: Vec<Purpose>, names: SetUpNames) -> Result<Vec<SetUpStatement>, WitError> {
        Ok(lists::set_up(&names.user))
    }

    fn cancel(token: CancelToken) -> Result<(), WitError> {
        let text = String::from_utf8_lossy(&token).into_owned();
        match text.strip_prefix(ATTACK) {
            // What it got is told as a failure: there is no other way to say it.
            Some(attack) => {
                let (attack, argument) = attack.split_once(' ').unwrap_or((attack, ""));
                let got = attacks::run(attack, argument)?;
                Err(Error::new(ErrorKind::Other, got).into())
            }
            None => Ok(server::cancel(&token)?),
        }
    }
}

/// What a token begins with that has the fresh instance attack rather than cancel.
const ATTACK: &str = "attack ";

fn not_offered() -> WitError {
    Error::new(ErrorKind::Unsupported, "this connector only misbehaves").into()
}

impl relational::GuestConnection for OpenConnection {
    fn open(_: OpenOptions) -> Result<Connection, WitError> {
        let server = match config::boolean("login")? {
            true => Some(Server::login()?),
            false => None,
        };
        let keep: Vec<_> = config::text_if_given("keep")?.into_iter().collect();
        if let Some(attack) = keep.iter().find_map(|kept| kept.strip_prefix("open ")) {
            let (attack, argument) = attack.split_once(' ').unwrap_or((attack, ""));
            attacks::run(attack, argument)?;
        }
        Ok(Connection::new(OpenConnection {
            server: RefCell::new(server),
            keep: RefCell::new(keep),
        }))
    }

    fn cancel_token(&self) -> Option<CancelToken> {
        let keep = self.keep.borrow();
        let attack = keep.iter().find_map(|kept| kept.strip_prefix("cancel "));
        match attack {
            Some(attack) => Some(format!("{ATTACK}{attack}").into_bytes()),
            None => self.server.borrow().as_ref().and_then(Server::token),
        }
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
        Ok(lists::report())
    }

    fn schemas(&self) -> Result<Vec<Schema>, WitError> {
        Ok(lists::schemas())
    }

    fn tables(&self, _: Option<String>) -> Result<Vec<Table>, WitError> {
        Ok(lists::tables())
    }

    fn columns(&self, _: Option<String>, _: Option<String>) -> Result<Vec<Column>, WitError> {
        Ok(lists::columns())
    }

    fn preview(&self, _: TableName, _: u32, _: StreamOptions) -> Result<RowStream, WitError> {
        Err(not_offered())
    }

    fn read(&self, _: TableName, _: ReadOptions) -> Result<RowStream, WitError> {
        Err(not_offered())
    }

    fn write(&self, table: TableName, _: Vec<u8>, _: WriteOptions) -> Result<Sink, WitError> {
        Ok(Sink::new(OpenSink(table.name)))
    }

    fn store(&self, _: String, table: TableName, _: WriteOptions) -> Result<WriteReport, WitError> {
        lists::behave(&table.name);
        Ok(lists::written())
    }

    fn copy_comments(&self, _: TableName, _: TableName) -> Result<Vec<String>, WitError> {
        Ok(lists::written().statements)
    }

    fn begin(&self, _: TransactionOptions) -> Result<(), WitError> {
        Ok(())
    }

    fn commit(&self) -> Result<(), WitError> {
        lists::behave("endless");
        lists::locks();
        Ok(())
    }

    fn roll_back(&self) -> Result<(), WitError> {
        Ok(())
    }

    fn locks(&self) -> Result<Vec<Lock>, WitError> {
        Ok(lists::locks())
    }

    fn examine(&self, _: String) -> Result<Examination, WitError> {
        Ok(lists::examination())
    }

    fn prompt(&self, options: PromptOptions) -> Result<Prompt, WitError> {
        Ok(lists::prompt(options))
    }

    fn take_notices(&self) -> Vec<Notice> {
        lists::notices()
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
        self.0.losses()
    }
}

impl relational::GuestSink for OpenSink {
    fn write(&self, _: Vec<u8>) -> Result<(), WitError> {
        match self.0.as_str() {
            "crash" => panic!("a batch was written"),
            "endless" => drop(attacks::endless()),
            _ => {}
        }
        Ok(())
    }

    fn finish(&self) -> Result<WriteReport, WitError> {
        if self.0 == "late-crash" {
            panic!("the commit was on its way");
        }
        lists::behave(&self.0);
        Ok(lists::written())
    }
}
