//! The connector against a real server, natively: everything but the sandbox.

mod checks;
mod discovery;
mod harness;
mod interruptions;
mod login;
mod modes;
mod operators;
mod reading;
mod replacing;
mod seeds;
mod sequences;
mod violations;
mod writing;
