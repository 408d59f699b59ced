//! The connector's parsers without a session: what the server's bytes are taken apart by.
//!
//! The first byte of an input chooses which. Beside that none of them panics, it is
//! checked that what they say of the bytes is so, and that values which are written and
//! read again are the same.

use super::input::Input;

mod frames;
mod numbers;
mod texts;
mod types;
mod values;

/// Takes an input apart.
pub fn run(input: &[u8]) {
    let mut input = Input(input);
    match input.byte() % 6 {
        0 => frames::run(&mut input),
        1 => values::run(&mut input),
        2 => values::of_table(&mut input),
        3 => numbers::run(&mut input),
        4 => texts::run(&mut input),
        _ => texts::names(&mut input),
    }
}
