//! `wasi:logging/logging`.

use crate::bindings::wasi::logging::logging;
use crate::broker::log::Level;
use crate::state::State;

impl logging::Host for State {
    async fn log(
        &mut self,
        level: logging::Level,
        context: String,
        message: String,
    ) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace => Level::Trace,
            logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warn => Level::Warn,
            logging::Level::Error | logging::Level::Critical => Level::Error,
        };
        self.log.write(level, &context, &message);
        Ok(())
    }
}
