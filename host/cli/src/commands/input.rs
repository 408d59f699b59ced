//! Text that is given in a file or on standard input.

use std::io::Read;
use std::path::Path;

use crate::failure::Failure;

/// What stands for standard input.
pub const STANDARD: &str = "-";

/// More than anyone writes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The `what` that is in `path`.
///
/// # Errors
/// When it cannot be read, or is too long.
pub fn text(what: &str, path: &Path) -> Result<String, Failure> {
    let source = match path.to_str() {
        Some(STANDARD) => "standard input".to_owned(),
        _ => path.display().to_string(),
    };
    let unreadable = |error: std::io::Error| {
        Failure::file(format!("cannot read the {what} from {source}: {error}"))
            .hint("check the path, and that the file is UTF-8 text")
    };
    let mut text = String::new();
    let mut read = |input: &mut dyn Read| {
        let mut input = input.take(MOST_BYTES + 1);
        input.read_to_string(&mut text).map_err(unreadable)
    };
    match path.to_str() {
        Some(STANDARD) => read(&mut std::io::stdin().lock())?,
        _ => read(&mut std::fs::File::open(path).map_err(unreadable)?)?,
    };
    if text.len() as u64 > MOST_BYTES {
        let message = format!("{source} has more than {} MiB", MOST_BYTES / (1024 * 1024));
        return Err(Failure::usage(message).hint(format!("give one {what}")));
    }
    Ok(text)
}
