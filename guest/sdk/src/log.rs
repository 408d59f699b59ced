//! The host's log. Milestones only: never SQL text, data or anything of the form.

use crate::bindings::wasi::logging::logging::{self, Level};

fn log(level: Level, context: &str, message: &str) {
    // Natively, in tests, there is no host to log to.
    if cfg!(target_arch = "wasm32") {
        logging::log(level, context, message);
    }
}

/// Something a developer follows the course of things by.
pub fn debug(context: &str, message: &str) {
    log(Level::Debug, context, message);
}

/// Something that works but should not be left so.
pub fn warn(context: &str, message: &str) {
    log(Level::Warn, context, message);
}
