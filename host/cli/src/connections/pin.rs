//! Writing a server's fingerprint into a connection file, leaving the rest of it as it is.

use std::io::Write;
use std::path::Path;

use toml_edit::{DocumentMut, Formatted, Value, value};

use crate::exit::Exit;
use crate::failure::Failure;

/// The field that pins a certificate.
pub const FIELD: &str = "ssl_fingerprint";

/// Writes `fingerprint` into the connection `name` of the file, and turns encryption on where
/// nothing is said of it.
///
/// # Errors
/// When the file cannot be read or written, or the connection says that nothing is verified.
pub fn write(file: &Path, name: &str, fingerprint: &str) -> anyhow::Result<()> {
    // Not the link to it, where it is one.
    let file = &std::fs::canonicalize(file)?;
    let text = std::fs::read_to_string(file)?;
    let pinned = pinned(&text, name, fingerprint)?;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut new = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    new.write_all(pinned.as_bytes())?;
    new.as_file()
        .set_permissions(std::fs::metadata(file)?.permissions())?;
    new.persist(file)?;
    Ok(())
}

fn pinned(text: &str, name: &str, fingerprint: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::configuration("the connection file cannot be changed").hint(format!(
            "write {FIELD} = \"{fingerprint}\" below [{name}] yourself"
        ))
    };
    let mut document: DocumentMut = text.parse().map_err(|_| wrong())?;
    let connection = document
        .get_mut(name)
        .and_then(|item| item.as_table_like_mut())
        .ok_or_else(wrong)?;
    let text_of = |field: &str| connection.get(field).and_then(|item| item.as_str());
    if matches!(text_of("ssl_mode"), Some("disable" | "prefer")) {
        return Err(Failure::new(
            Exit::Configuration,
            "configuration",
            format!("the connection \"{name}\" has an ssl_mode that verifies nothing, so a pinned certificate would count for nothing"),
        )
        .hint("take the line with ssl_mode out, then run the command again"));
    }
    if connection.get("ssl_mode").is_none() {
        let switch = connection.entry("use_ssl").or_insert_with(|| value(true));
        if let Some(Value::Boolean(on)) = switch.as_value_mut() {
            // In place, so that a comment behind it stays.
            let decor = on.decor().clone();
            *on = Formatted::new(true);
            *on.decor_mut() = decor;
        }
    }
    connection.insert(FIELD, value(fingerprint));
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::pinned;

    #[test]
    fn the_rest_of_the_file_stays_as_it_is() {
        let text = "# mine\n[shop]  # the shop\nhost = 'db'   # here\nuse_ssl = false  # not yet\n\n[other]\nhost = \"x\"\n";
        assert_eq!(
            pinned(text, "shop", "sha256:ab").unwrap(),
            "# mine\n[shop]  # the shop\nhost = 'db'   # here\nuse_ssl = true  # not yet\nssl_fingerprint = \"sha256:ab\"\n\n[other]\nhost = \"x\"\n"
        );
        let again = pinned(text, "shop", "sha256:ab").unwrap();
        let again = pinned(&again, "shop", "sha256:cd").unwrap();
        assert!(again.contains("sha256:cd") && !again.contains("sha256:ab"));
    }

    #[test]
    fn what_verifies_nothing_is_not_pinned() {
        let error = pinned("[shop]\nssl_mode = \"prefer\"\n", "shop", "sha256:ab").unwrap_err();
        assert_eq!(error.kind, "configuration");
        assert!(pinned("[shop]\n", "shap", "sha256:ab").is_err());
        let kept = pinned("[shop]\nssl_mode = \"require\"\n", "shop", "sha256:ab").unwrap();
        assert!(!kept.contains("use_ssl"));
    }
}
