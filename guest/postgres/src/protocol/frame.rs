//! Where one message ends and the next begins.
//!
//! A message is a tag (one byte), a length (four bytes, big-endian, counting itself) and a
//! body. What is looked at is not copied.

use super::Violation;
use super::backend::{COPY_DATA, DATA_ROW};

/// The longest message taken from a server, in bytes: 32 MiB.
///
/// PostgreSQL could send a row of 1 GiB. A row lies in memory up to four times at once (as it
/// came, as a column that grows by doubling, as a message to the host), and crosses to the host
/// in one call: this keeps the largest within the 256 MiB of memory and the 64 MiB of transfer
/// that a host gives a connector unless it is told otherwise.
pub const LONGEST: usize = 32 * 1024 * 1024;

/// The longest message there is: PostgreSQL builds them in buffers of at most 1 GiB.
const MOST: usize = 1024 * 1024 * 1024;

/// What stands before the body: tag and length.
pub const HEADER: usize = 5;

/// One whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What kind of message it is.
    pub tag: u8,
    /// What follows the length.
    pub body: &'a [u8],
    /// The whole message, tag and length included.
    pub whole: &'a [u8],
}

/// What the bytes at hand begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split<'a> {
    /// A whole message.
    Frame(Frame<'a>),
    /// Part of a message; this many bytes are needed, counted from its first, to see more.
    Partial(usize),
}

/// Looks at the first message in `bytes`.
///
/// # Errors
/// When its length is impossible or more than [`LONGEST`].
#[inline]
pub fn split(bytes: &[u8]) -> Result<Split<'_>, Violation> {
    let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(Split::Partial(HEADER));
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(4..=LONGEST).contains(&length) {
        return Err(impossible(tag, length));
    }
    let total = length.saturating_add(1);
    match bytes.split_at_checked(total) {
        Some((whole, _)) => Ok(Split::Frame(Frame {
            tag,
            body: whole.get(HEADER..).unwrap_or_default(),
            whole,
        })),
        None => Ok(Split::Partial(total)),
    }
}

#[cold]
fn impossible(tag: u8, length: usize) -> Violation {
    match tag {
        DATA_ROW | COPY_DATA if (LONGEST..=MOST).contains(&length) => Violation::TooLong(length),
        _ => Violation::new(format!(
            "a message `{}` of the length {length}",
            tag.escape_ascii()
        )),
    }
}
