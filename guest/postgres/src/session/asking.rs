//! Several questions in one flight, and statements that may fail without ending the transaction.

use dagflux_guest::Result;

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
        let mut begun = false;
        let mut rows = Vec::new();
        loop {
            match self.receive()? {
                Message::ParseComplete => begun = true,
                Message::DataRow(row) if begun => rows.push(backend::text_row(&row)?),
                Message::ReadyForQuery(_) if begun || self.outstanding() == 0 => return Ok(rows),
                Message::ReadyForQuery(_)
                | Message::BindComplete
                | Message::RowDescription(_)
                | Message::DataRow(_)
                | Message::CommandComplete(_) => {}
                _ => return Err(self.unexpected("among the rows of a catalog query")),
            }
        }
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
        let mut failure = None;
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
                Some(Message::DataRow(row)) => rows.push(backend::text_row(&row)?),
                Some(Message::ReadyForQuery(_)) if self.outstanding() == 0 => {
                    return Ok(match failure {
                        Some(error) => Err(error),
                        None => Ok(rows),
                    });
                }
                Some(
                    Message::ParseComplete
                    | Message::BindComplete
                    | Message::CommandComplete(_)
                    | Message::ReadyForQuery(_),
                )
                | None => {}
                Some(_) => return Err(self.unexpected("as the answer to a statement")),
            }
        }
    }
}
