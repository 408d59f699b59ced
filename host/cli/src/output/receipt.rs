//! What a command's sandbox used.

use dagflux_host::Receipt;
use serde_json::{Value, json};

use super::{duration, size, thousands};

/// The receipt for people, in a line.
pub fn line(receipt: &Receipt) -> String {
    format!(
        "sandbox: {} of processor time, {} of memory at most, {} received, {} sent",
        duration(receipt.guest_time),
        size(receipt.peak_memory),
        size(receipt.bytes_in),
        size(receipt.bytes_out)
    )
}

/// The whole receipt for people.
pub fn table(receipt: &Receipt) -> String {
    let addresses: Vec<String> = receipt.addresses.iter().map(ToString::to_string).collect();
    let reached = match addresses.as_slice() {
        [] => "nothing".to_owned(),
        addresses => addresses.join(", "),
    };
    let rows = format!(
        "{} read, {} written",
        thousands(receipt.rows_in),
        thousands(receipt.rows_out)
    );
    let lines = [
        ("received", size(receipt.bytes_in)),
        ("sent", size(receipt.bytes_out)),
        ("rows", rows),
        ("processor time", duration(receipt.guest_time)),
        ("memory at most", size(receipt.peak_memory)),
        ("host calls", thousands(receipt.host_calls)),
        ("logged", size(receipt.log_bytes)),
        ("reached", reached),
    ];
    let mut out = String::from("receipt\n");
    for (name, value) in lines {
        out.push_str(&format!("  {name:<14}  {value}\n"));
    }
    out
}

/// The receipt for machines: seconds, bytes and counts. Without the server's
/// addresses, which are sensitive.
pub fn json(receipt: &Receipt) -> Value {
    json!({
        "seconds": receipt.guest_time.as_secs_f64(),
        "memory": receipt.peak_memory,
        "received": receipt.bytes_in,
        "sent": receipt.bytes_out,
        "rows_read": receipt.rows_in,
        "rows_written": receipt.rows_out,
        "host_calls": receipt.host_calls,
        "logged": receipt.log_bytes,
        "addresses": receipt.addresses.len(),
    })
}
