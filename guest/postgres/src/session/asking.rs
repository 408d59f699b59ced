//! Several questions in one flight, and statements that may fail without ending the transaction.

use dagflux_guest::Result;
use postgres_protocol::message::backend::DataRowBody;

use super::Session;
use crate::protocol::backend::{self, Message, TextRow};
use crate::protocol::frontend;

impl Session {
    /// Puts one statement of the connector's own into the flight. Its rows are had with
    /// [`Session::gather`], in the order in which they were asked for.
    ///
    /// # Errors
    /// When the statement holds a NUL byte.
    pub fn ask(&mut self, sql: &str, parameters: &[Option<&str>]) -> Result<()> {
        self.parse(sql)?;
        frontend::bind_and_execute(parameters, std::iter::empty(), self.outbox())?;
        self.sync();
        Ok(())
    }

    /// The rows of the next statement that was asked; what stands before it in the flight is
    /// passed over.
    ///
    /// # Errors
    /// What the server reports.
    pub fn gather(&mut self) -> Result<Vec<TextRow>> {
        let (mut begun, mut complete) = (false, false);
        let mut rows = Vec::new();
        loop {
            match self.receive()? {
                Message::ParseComplete => begun = true,
                Message::DataRow(row) if begun && !complete => rows.push(self.text_row(&row)?),
                Message::CommandComplete(body) if begun && !complete => {
                    complete = true;
                    let count = rows.len() as u64;
                    backend::all_have_come(&body, count).map_err(|v| self.violated(v))?;
                }
                Message::ReadyForQuery(_) if complete => return Ok(rows),
                Message::ReadyForQuery(_) if begun || self.outstanding() == 0 => {
                    return Err(self.unexpected("in place of the end of a catalog query"));
                }
                Message::ReadyForQuery(_)
                | Message::BindComplete
                | Message::RowDescription(_)
                | Message::CommandComplete(_) => {}
                // A statement that is passed over may have some.
                Message::DataRow(_) if !begun => {}
                _ => return Err(self.unexpected("among the rows of a catalog query")),
            }
        }
    }

    fn text_row(&mut self, row: &DataRowBody) -> Result<TextRow> {
        backend::text_row(row).map_err(|violation| self.violated(violation))
    }

    /// Runs statements of the connector's own, each after those before it, up to the first that
    /// fails, and gathers their rows. After such a failure the transaction is still open, to be
    /// rolled back to a savepoint; one that ends the connection is the outer error.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn attempt(&mut self, statements: &[&str]) -> Result<Result<Vec<TextRow>>> {
        for sql in statements {
            self.parse(sql)?;
            frontend::bind_and_execute(&[], std::iter::empty(), self.outbox())?;
        }
        self.sync();
        self.flush()?;
        let mut rows = Vec::new();
        let (mut before, mut failure) = (0, None);
        loop {
            let message = self.next_message()?;
            match self.take_aside(message)? {
                Some(Message::ErrorResponse(body)) => {
                    let report = backend::report(body.fields()).map_err(|v| self.violated(v))?;
                    if report.is_fatal() {
                        return Err(self.fail(&report));
                    }
                    failure = Some(self.explain(&report));
                }
                Some(Message::DataRow(row)) => rows.push(self.text_row(&row)?),
                Some(Message::CommandComplete(body)) => {
                    let count = rows.len().saturating_sub(before) as u64;
                    before = rows.len();
                    backend::all_have_come(&body, count).map_err(|v| self.violated(v))?;
                }
                Some(Message::ReadyForQuery(_)) if self.outstanding() == 0 => {
                    return Ok(match failure {
                        Some(error) => Err(error),
                        None => Ok(rows),
                    });
                }
                Some(
                    Message::ParseComplete | Message::BindComplete | Message::ReadyForQuery(_),
                )
                | None => {}
                Some(_) => return Err(self.unexpected("as the answer to a statement")),
            }
        }
    }
}
