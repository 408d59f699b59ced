//! What a command's sandbox used.

use dagflux_host::Receipt;
use serde_json::{Value, json};

use super::{duration, size};

/// The receipt for people.
pub fn line(receipt: &Receipt) -> String {
    format!(
        "sandbox: {} of processor time, {} of memory at most, {} received, {} sent",
        duration(receipt.guest_time),
        size(receipt.peak_memory),
        size(receipt.bytes_in),
        size(receipt.bytes_out)
    )
}

/// The receipt for machines: seconds and bytes. Without the server's address,
/// which is sensitive.
pub fn json(receipt: &Receipt) -> Value {
    json!({
        "seconds": receipt.guest_time.as_secs_f64(),
        "memory": receipt.peak_memory,
        "received": receipt.bytes_in,
        "sent": receipt.bytes_out,
    })
}
