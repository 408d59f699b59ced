//! What can be tested without a server: bytes in, bytes out, and a scripted peer.
//!
//! Whatever a peer sends, cut anywhere, is answered with an error and never with a panic.

mod checks;
mod errors;
mod fuzz;
mod memory;
mod messages;
mod mutations;
mod names;
mod places;
mod rows;
mod script;
mod session;
mod types;
mod values;
