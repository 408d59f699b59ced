//! Connection files with faults, and what is said about them.

use std::path::{Path, PathBuf};

use super::*;

fn plain(path: &str) -> PathBuf {
    path.into()
}

fn form() -> Form {
    let field = |name: &str, kind, required, sensitive, default: Option<&str>| FormField {
        name: name.into(),
        kind,
        required,
        sensitive,
        default: default.map(Into::into),
        choices: if name == "ssl_mode" {
            &["disable", "verify-ca", "verify-full"]
        } else {
            &[]
        },
        is_password: name == "password",
    };
    Form {
        connector: "postgres".into(),
        fields: vec![
            field("host", FieldKind::Text, true, true, None),
            field("port", FieldKind::Integer, true, false, Some("5432")),
            field("database", FieldKind::Text, true, false, None),
            field("username", FieldKind::Text, true, true, None),
            field("password", FieldKind::Secret, true, true, None),
            field("schema", FieldKind::Text, false, false, Some("public")),
            field("use_ssl", FieldKind::Boolean, false, false, Some("false")),
            field("ssl_mode", FieldKind::Text, false, false, None),
            field("ssl_ca", FieldKind::File, false, false, None),
            field("ssl_key", FieldKind::Secret, false, true, None),
        ],
    }
}

fn faults(text: &str) -> Vec<String> {
    match File::parse(Path::new("c.toml"), text) {
        Err(failure) => failure.faults.iter().map(ToString::to_string).collect(),
        Ok(file) => {
            let mut faults = against_form(&file.entries[0], &form(), plain).faults;
            faults.sort_by_key(|fault| fault.line);
            faults.iter().map(ToString::to_string).collect()
        }
    }
}

#[test]
fn sound_connection() {
    let text = r#"
        [sales]
        connector = "postgres"
        host = "localhost"
        port = 5433
        database = "sales"
        username = "reader"
        password = { keyring = true }
        use_ssl = true
    "#;
    assert_eq!(faults(text), [""; 0]);
    let file = File::parse(Path::new("c.toml"), text).unwrap();
    let found = against_form(&file.entries[0], &form(), plain);
    assert_eq!(
        found.checked.config,
        Config::new()
            .with("port", 5433_i64)
            .with("database", "sales")
            .with("use_ssl", true)
    );
    let sensitive: Vec<&str> = found
        .checked
        .sensitive
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(sensitive, ["host", "username", "password"]);
    let shown = format!("{:?} {:?}", found.checked, file);
    assert!(
        !shown.contains("localhost") && !shown.contains("reader"),
        "{shown}"
    );
}

#[test]
fn every_fault_is_named_at_once() {
    let text = r#"[sales]
connector = "postgres"
host = 7
port = "5432"
databse = "sales"
username = { env = "DAGFLUX_TEST_NEVER_SET" }
password = "hunter2"
schema = { env = "X" }
use_ssl = "yes"
colour = 3.5
"#;
    assert_eq!(
        faults(text),
        [
            "line 3: \"host\" wants text and is a whole number; write host = \"...\"",
            "line 4: \"port\" wants a whole number and is text; write port = 5432",
            "line 5: \"databse\" is not a field of postgres; did you mean \"database\"?",
            "line 6: \"username\": the environment variable DAGFLUX_TEST_NEVER_SET is not set",
            "line 7: \"password\" must not be written in this file; write password = { keyring = true } and run \
             `dagflux secret set sales.password`, or write password = { env = \"VARIABLE\" } or password = { file = \"path\" }",
            "line 8: \"schema\" is text and not kept apart; write schema = \"public\"",
            "line 9: \"use_ssl\" wants true or false and is text; write use_ssl = false",
            "line 10: \"colour\" is not a field of postgres; its fields are host, port, database, username, password, schema, use_ssl, ssl_mode, ssl_ca, ssl_key",
        ]
    );
}

#[test]
fn missing_fields() {
    assert_eq!(
        faults("[sales]\nuse_ssl = true\n"),
        [
            "line 1: \"connector\" is missing; write for example connector = \"postgres\"",
            "line 1: \"host\" is missing; write host = \"...\"",
            "line 1: \"database\" is missing; write database = \"...\"",
            "line 1: \"username\" is missing; write username = \"...\"",
            "line 1: \"password\" is missing; write password = { keyring = true }, { env = \"VARIABLE\" } or { file = \"path\" }",
        ]
    );
}

#[test]
fn references() {
    for (reference, expected) in [
        (
            "{ enviroment = \"X\" }",
            "a reference has no \"enviroment\"; did you mean \"env\"?",
        ),
        (
            "{ keyring = false }",
            "\"keyring\" wants true, or \"service/user\"",
        ),
        (
            "{ keyring = \"service\" }",
            "\"keyring\" wants true, or \"service/user\"",
        ),
        (
            "{ env = \"A\", file = \"b\" }",
            "a reference names one place; write { keyring = true }, { env = \"VARIABLE\" } or { file = \"path\" }",
        ),
        (
            "{ }",
            "a reference names where the value is kept; write { keyring = true }, { env = \"VARIABLE\" } or { file = \"path\" }",
        ),
        (
            "{ env = \"DAGFLUX_TEST_NEVER_SET\" }",
            "the environment variable DAGFLUX_TEST_NEVER_SET is not set",
        ),
        (
            "{ file = \"/nowhere/x\" }",
            "the file /nowhere/x cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        let text = format!(
            "[sales]\nconnector = \"postgres\"\nhost = \"h\"\ndatabase = \"d\"\nusername = \"u\"\npassword = {reference}\n"
        );
        assert_eq!(faults(&text), [format!("line 6: \"password\": {expected}")]);
    }
}

#[cfg(unix)]
#[test]
fn secret_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "pass word\r\n").unwrap();
    let shown = path.display();
    let text = |more: &str| {
        format!(
            "[s]\nconnector = \"postgres\"\nhost = \"h\"\ndatabase = \"d\"\nusername = \"u\"\npassword = {{ file = \"{shown}\"{more} }}\n"
        )
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = faults(&text(""));
    assert!(
        found[0].contains(&format!("(mode 0644); run: chmod 600 {shown}")),
        "{found:?}"
    );
    assert_eq!(faults(&text(", readable_by_others = true")), [""; 0]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(faults(&text("")), [""; 0]);
    let reference = Reference::File {
        path: path.display().to_string(),
        readable_by_others: false,
    };
    assert_eq!(reference.read(plain).unwrap().expose(), "pass word");
}

#[test]
fn encryption() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----").unwrap();
    let found = |lines: &str| {
        let text = format!(
            "[sales]\nconnector = \"postgres\"\nhost = \"h\"\ndatabase = \"d\"\nusername = \"u\"\n{lines}\n"
        );
        let file = File::parse(&folder.path().join("c.toml"), &text).unwrap();
        let resolve = |path: &str| file.resolve(path);
        let found = against_form(&file.entries[0], &form(), resolve);
        let faults: Vec<String> = found.faults.iter().map(ToString::to_string).collect();
        (faults, found.checked.config)
    };
    let missing = folder.path().join("other.pem");
    let password = "line 1: \"password\" is missing; write password = { keyring = true }, { env = \"VARIABLE\" } or { file = \"path\" }";
    for (lines, expected) in [
        ("password = { keyring = true }\nssl_ca = \"ca.pem\"", vec![]),
        (
            "password = { keyring = true }\nssl_ca = \"other.pem\"",
            vec![format!(
                "line 7: \"ssl_ca\": the file {} cannot be read: No such file or directory (os error 2)",
                missing.display()
            )],
        ),
        (
            "password = { keyring = true }\nssl_ca = '''\n-----BEGIN CERTIFICATE-----\n'''",
            vec![],
        ),
        (
            "password = { keyring = true }\nssl_ca = '''\n-----BEGIN PRIVATE KEY-----\n'''",
            vec!["line 7: \"ssl_ca\": a private key must not be written in this file; write ssl_key = { file = \"path\" }".into()],
        ),
        (
            "password = { keyring = true }\nssl_mode = \"verify_full\"",
            vec!["line 7: \"ssl_mode\": did you mean \"verify-full\"?".into()],
        ),
        (
            "password = { keyring = true }\nssl_mode = \"strong\"",
            vec!["line 7: \"ssl_mode\" wants one of disable, verify-ca, verify-full; write ssl_mode = \"verify-full\"".into()],
        ),
        ("ssl_key = { keyring = true }", vec![]),
        ("ssl_ca = \"ca.pem\"", vec![password.into()]),
    ] {
        assert_eq!(found(lines).0, expected, "{lines}");
    }
    let (_, config) = found("ssl_key = { keyring = true }\nssl_ca = \"ca.pem\"");
    let path = folder.path().join("ca.pem").display().to_string();
    assert_eq!(config.value("ssl_ca"), Some(&path.into()));
}

#[test]
fn syntax_faults_do_not_quote_the_file() {
    let failure = File::parse(
        Path::new("c.toml"),
        "[sales]\nhost = \"h\"\npassword = hunter2\n",
    )
    .unwrap_err();
    let shown = format!("{failure} {:?}", failure.faults);
    assert!(
        shown.contains("line: Some(3)") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn unknown_connection() {
    let file = File::parse(Path::new("c.toml"), "[sales]\n[staging]\n").unwrap();
    assert_eq!(
        file.entry("sale").unwrap_err().hint.unwrap(),
        "did you mean \"sales\"?"
    );
    assert_eq!(
        file.entry("x").unwrap_err().hint.unwrap(),
        "the file has: sales, staging"
    );
}
