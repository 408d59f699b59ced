//! Several calls of a connection that take effect together.

use std::ops::{Deref, DerefMut};

use futures_util::FutureExt;

use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{TableLock, TransactionOptions};

/// An open transaction. The connection's calls, which it has all of, see what those before them
/// changed, and take effect together: with [`commit`](Self::commit), or not at all.
///
/// A call that fails is undone by itself, and the transaction goes on. Dropping the transaction rolls
/// it back, before anything else is asked of the connection and without waiting for that.
#[must_use = "a transaction that is not committed changes nothing"]
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c mut Connection,
    open: bool,
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection
    }
}

impl<'c> Transaction<'c> {
    pub(crate) async fn begin(
        connection: &'c mut Connection,
        options: TransactionOptions,
    ) -> Result<Self> {
        if connection.in_transaction {
            return Err(
                Error::new(ErrorKind::Unsupported, "a transaction is open already")
                    .with_hint("commit it or drop it first, or use a second connection"),
            );
        }
        // From here on: should the caller drop this future, what it began is undone.
        connection.in_transaction = true;
        let transaction = Self {
            connection,
            open: true,
        };
        let options = wit::TransactionOptions::from(options);
        let connection = &mut *transaction.connection;
        let began = connection
            .request(move |session| {
                async move {
                    let connection = session.connection;
                    let (store, guest, watch) = session.instance.relational();
                    watch
                        .call(guest.connection().call_begin(store, connection, options))
                        .await
                }
                .boxed()
            })
            .await;
        began.map(|()| transaction)
    }

    /// What the transaction has locked so far, by schema and table.
    ///
    /// # Errors
    ///
    /// What the server or the connection reports.
    pub async fn locks(&mut self) -> Result<Vec<TableLock>> {
        self.connection
            .request(|session| {
                async move {
                    let connection = session.connection;
                    let (store, guest, watch) = session.instance.relational();
                    watch
                        .call(guest.connection().call_locks(store, connection))
                        .await
                        .map(|locks| locks.into_iter().map(TableLock::from).collect())
                }
                .boxed()
            })
            .await
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// Nothing took effect, except that after [`ErrorKind::OutcomeUnknown`] it is not known whether
    /// all of it did.
    pub async fn commit(mut self) -> Result<()> {
        let outcome = self
            .connection
            .request(|session| {
                async move {
                    let connection = session.connection;
                    let (store, guest, watch) = session.instance.relational();
                    watch
                        .call(guest.connection().call_commit(store, connection))
                        .await
                }
                .boxed()
            })
            .await;
        match outcome {
            Ok(()) => {
                self.open = false;
                Ok(())
            }
            // The commit may have been on its way.
            Err(error) if error.ends_instance() || error.kind() == ErrorKind::Closed => {
                Err(unknown(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Rolls back, and waits for that.
    ///
    /// # Errors
    ///
    /// The connection ended; nothing took effect.
    pub async fn roll_back(mut self) -> Result<()> {
        let outcome = self
            .connection
            .request(|session| session.roll_back().boxed())
            .await;
        self.open = outcome.is_err();
        outcome
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.connection.in_transaction = false;
        if self.open {
            self.connection.shared.roll_back.notify_one();
        }
    }
}

fn unknown(cause: Error) -> Error {
    Error::new(
        ErrorKind::OutcomeUnknown,
        "it is not known whether the transaction was committed",
    )
    .with_hint("connect again and look whether its changes are there, all of them or none; repeat it only if they are not")
    .with_source(cause)
}
