//! Bytes for the connector's parsers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dagflux_fuzz::codec::run(data));
