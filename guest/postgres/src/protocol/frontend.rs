//! Messages to the server.
//!
//! Thin over `postgres-protocol`: the names and texts here have been checked for NUL
//! bytes, which is the only way in which building most of them can fail.

use bytes::{BufMut, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use super::Violation;

/// Tag of a `CopyData` message.
pub const COPY_DATA: u8 = b'd';

/// Appends what `build` appends: all of it or, when it fails, nothing. Half a message would
/// swallow the beginning of the next.
fn whole<E>(
    out: &mut BytesMut,
    build: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<(), Violation>
where
    Violation: From<E>,
{
    let before = out.len();
    let built = build(out);
    if built.is_err() {
        out.truncate(before);
    }
    Ok(built?)
}

/// Opens a connection: protocol 3.0 and the session's parameters.
///
/// # Errors
/// When a value holds a NUL byte.
pub fn startup(parameters: &[(&str, &str)], out: &mut BytesMut) -> Result<(), Violation> {
    whole(out, |out| {
        frontend::startup_message(parameters.iter().copied(), out)
    })
}

/// Runs text, which may hold several statements. For the connector's own text only.
///
/// # Errors
/// When it holds a NUL byte.
pub fn query(sql: &str, out: &mut BytesMut) -> Result<(), Violation> {
    whole(out, |out| frontend::query(sql, out))
}

/// Parses exactly one statement as the unnamed one and asks what it takes and gives.
///
/// # Errors
/// When it holds a NUL byte.
pub fn parse_and_describe(sql: &str, out: &mut BytesMut) -> Result<(), Violation> {
    parse(sql, out)?;
    whole(out, |out| frontend::describe(b'S', "", out))
}

/// Parses exactly one statement as the unnamed one.
///
/// # Errors
/// When it holds a NUL byte.
pub fn parse(sql: &str, out: &mut BytesMut) -> Result<(), Violation> {
    whole(out, |out| frontend::parse("", sql, std::iter::empty(), out))
}

/// Runs the unnamed statement to its end, with text parameters and the given result formats
/// (0 text, 1 binary).
///
/// # Errors
/// When a message becomes too long.
pub fn bind_and_execute(
    parameters: &[Option<&str>],
    formats: impl Iterator<Item = i16>,
    out: &mut BytesMut,
) -> Result<(), Violation> {
    whole(out, |out| {
        frontend::bind(
            "",
            "",
            std::iter::empty(),
            parameters,
            |value, out| {
                Ok(match value {
                    Some(text) => {
                        out.put_slice(text.as_bytes());
                        IsNull::No
                    }
                    None => IsNull::Yes,
                })
            },
            formats,
            out,
        )
        .map_err(|error| match error {
            frontend::BindError::Conversion(error) => Violation::new(error.to_string()),
            frontend::BindError::Serialization(error) => error.into(),
        })
    })?;
    whole(out, |out| frontend::execute("", 0, out))
}

/// Ends a flight of extended-protocol messages.
pub fn sync(out: &mut BytesMut) {
    frontend::sync(out);
}

/// The first message of a SASL login.
///
/// # Errors
/// When the mechanism's name holds a NUL byte.
pub fn sasl_initial(mechanism: &str, data: &[u8], out: &mut BytesMut) -> Result<(), Violation> {
    whole(out, |out| {
        frontend::sasl_initial_response(mechanism, data, out)
    })
}

/// A later message of a SASL login.
///
/// # Errors
/// When the message becomes too long.
pub fn sasl_response(data: &[u8], out: &mut BytesMut) -> Result<(), Violation> {
    whole(out, |out| frontend::sasl_response(data, out))
}

/// A password, or what stands for one.
///
/// # Errors
/// When it holds a NUL byte.
pub fn password(password: &str, out: &mut BytesMut) -> Result<(), Violation> {
    whole(out, |out| {
        frontend::password_message(password.as_bytes(), out)
    })
}

/// Says that all rows of a `COPY FROM STDIN` were sent.
pub fn copy_done(out: &mut BytesMut) {
    frontend::copy_done(out);
}

/// Gives up a `COPY FROM STDIN`.
///
/// # Errors
/// When the reason holds a NUL byte.
pub fn copy_fail(reason: &str, out: &mut BytesMut) -> Result<(), Violation> {
    whole(out, |out| frontend::copy_fail(reason, out))
}

/// Says good-bye.
pub fn terminate(out: &mut BytesMut) {
    frontend::terminate(out);
}

/// Asks the server to stop what another connection is doing.
pub fn cancel_request(process: i32, secret: i32, out: &mut BytesMut) {
    frontend::cancel_request(process, secret, out);
}
