//! From the connection form to a channel.

use std::time::Duration;

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Channel, Error, Result, config, tcp};

use crate::auth::Brokered;
use crate::session::{Parameters, Session};

/// Connects and logs in with what the form holds.
///
/// # Errors
/// `configuration`, `name-resolution`, `unreachable`, `authentication`, ...
pub fn open(application_name: String, statement_timeout: Option<Duration>) -> Result<Session> {
    let parameters = Parameters {
        database: config::text("database")?,
        schema: config::text_if_given("schema")?
            .filter(|schema| !schema.is_empty())
            .unwrap_or_else(|| "public".into()),
        application_name,
        statement_timeout,
        encrypted: false,
    };
    let mut session = Session::open(channel()?, parameters, &Brokered)?;
    session.set_dial(Box::new(channel));
    Ok(session)
}

/// A channel to the server, encrypted if the form says so.
///
/// # Errors
/// `tls`, for as long as encryption is not offered: nothing is ever sent in the clear instead.
pub fn channel() -> Result<Box<dyn Channel>> {
    if config::boolean("use_ssl")? {
        return Err(Error::new(
            ErrorKind::Tls,
            "this version of the connector cannot encrypt its connection, and Use SSL is on",
        )
        .with_hint("turn Use SSL off if the server may be reached without encryption"));
    }
    let channel = tcp::connect(&config::text("host")?, config::integer("port")?)?;
    Ok(Box::new(channel))
}
