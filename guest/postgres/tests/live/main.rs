//! The connector against a real server, natively: everything but the sandbox.

mod discovery;
mod harness;
mod interruptions;
mod login;
mod reading;
mod writing;
