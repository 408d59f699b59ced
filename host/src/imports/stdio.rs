//! Standard output and error, into the log.

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use crate::broker::log::Log;

/// Bytes that one write to standard output may carry.
const MOST: usize = 4 * 1024;

/// A standard output that is the log.
pub struct LogStream(pub Log);

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self(self.0.clone()))
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MOST {
            return Err(StreamError::trap("more was written than permitted"));
        }
        self.0.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::redaction::Redactor;

    #[test]
    fn one_write_is_no_more_than_was_permitted() {
        let log = Log::new("test", Redactor::new(), 1_000_000, Arc::default());
        let mut stream = LogStream(log.clone());
        assert_eq!(stream.check_write().unwrap(), MOST);
        stream.write(Bytes::from(vec![b'a'; MOST])).unwrap();
        assert!(log.last_words().is_some_and(|words| words.ends_with('a')));
        let more = stream.write(Bytes::from(vec![b'b'; MOST + 1]));
        assert!(matches!(more, Err(StreamError::Trap(_))), "{more:?}");
        assert!(log.last_words().is_some_and(|words| words.ends_with('a')));
    }
}
