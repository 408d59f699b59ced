//! What the fuzzers run, apart from the fuzzers: the connector's own tests include this
//! file, and run the inputs that are kept without them.
//!
//! [`codec`] takes bytes apart and puts them together; [`session`] holds a conversation with
//! a server whose every byte is made up.

mod input;
mod peer;

pub mod codec;
pub mod session;
