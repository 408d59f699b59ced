//! `wasi:config/store`.

use crate::bindings::wasi::config::store;
use crate::state::State;

impl store::Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        Ok(Ok(self.broker.config.get(&key).cloned()))
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        let all = self.broker.config.iter();
        Ok(Ok(all
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()))
    }
}
