//! Connections by name: the file, what is wrong with it, and its secrets.

pub mod faults;
pub mod file;
pub mod guard;
pub mod keystore;
pub mod pin;
pub mod reference;
pub mod secrets;
pub mod sources;

use std::path::PathBuf;

use crate::failure::Failure;

/// The file that is read when neither `--connections` nor
/// `DAGFLUX_CONNECTIONS` names one.
pub fn default_file() -> Result<PathBuf, Failure> {
    dirs::config_dir()
        .map(|folder| folder.join("dagflux").join("connections.toml"))
        .ok_or_else(|| {
            Failure::configuration("this user has no configuration folder")
                .hint("name the connection file with --connections or DAGFLUX_CONNECTIONS")
        })
}

/// The name in `known` that `given` was most likely meant to be.
pub fn nearest<'k>(given: &str, known: &[&'k str]) -> Option<&'k str> {
    // Below 0.75 the suggestions stop resembling what was written.
    const LEAST: f64 = 0.75;
    let given = given.to_lowercase();
    let score = |name: &str| {
        let contained =
            name.len() > 2 && given.len() > 2 && (name.contains(&given) || given.contains(name));
        strsim::jaro_winkler(&given, name).max(if contained { 0.9 } else { 0.0 })
    };
    known
        .iter()
        .map(|name| (score(&name.to_lowercase()), *name))
        .filter(|(score, _)| *score >= LEAST)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_names() {
        let fields = [
            "host", "port", "database", "username", "password", "schema", "use_ssl",
        ];
        for (given, expected) in [
            ("databse", Some("database")),
            ("hostname", Some("host")),
            ("user", Some("username")),
            ("Port", Some("port")),
            ("passwd", Some("password")),
            ("ssl", Some("use_ssl")),
            ("usessl", Some("use_ssl")),
            ("colour", None),
        ] {
            assert_eq!(nearest(given, &fields), expected, "{given}");
        }
    }
}
