//! Bytes for whole sessions.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    dagflux_fuzz::session::run(data);
});
