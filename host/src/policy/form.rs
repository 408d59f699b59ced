//! What a connector may say of its connection form.
//!
//! The form comes from the component, which no one trusts; the values come from
//! a person who goes by the names of the fields. So names bind: a field that is
//! called a password is a secret, whatever the component says of it, and only a
//! field that is called a login name can be revealed as one. Otherwise an
//! upgrade could turn the password of a saved connection into a login name.

use crate::descriptor::{Field, FieldKind, Role};

/// A field whose name has one of these in it holds a secret.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "private",
    "key",
    "service_account",
];

/// A switch whose name has one of these in it demands encryption.
const ENCRYPTION: &[&str] = &["ssl", "tls", "encrypt"];

/// The fields that can be the login name, which is told to the connector.
const LOGIN_NAMES: &[&str] = &["username", "user", "login"];

/// The fields that can be the host, which is asked for in DNS.
const HOSTS: &[&str] = &["host", "hostname", "server", "account"];

/// What a connection says beside the fields of its form, as do all names that begin with `connector`.
const RESERVED: &[&str] = &["limits", "url", "libpq", "application_name"];

/// What is wrong with the form, as sentences about it.
pub fn faults(fields: &[Field]) -> Vec<String> {
    let mut faults = Vec::new();
    for field in fields {
        let name = field.name.as_str();
        let means = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if RESERVED.contains(&name) || name.starts_with("connector") {
            faults.push(format!(
                "the field `{name}` has a name that connections use otherwise"
            ));
        }
        if means(SECRET) && field.kind != FieldKind::Secret {
            faults.push(format!("the field `{name}` has to be of the type secret"));
        }
        if means(ENCRYPTION) && field.kind == FieldKind::Boolean && field.role != Role::TlsSwitch {
            faults.push(format!("the field `{name}` has to be the TLS switch"));
        }
        if field.role == Role::LoginName && !LOGIN_NAMES.contains(&name) {
            faults.push(format!("the field `{name}` cannot be the login name"));
        }
        if field.role == Role::EndpointHost && !HOSTS.contains(&name) {
            faults.push(format!("the field `{name}` cannot be the host"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: FieldKind, role: Role) -> Field {
        Field {
            name: name.into(),
            label: name.into(),
            kind,
            required: true,
            sensitive: true,
            default: None,
            help: String::new(),
            role,
            choices: &[],
        }
    }

    #[test]
    fn a_password_is_a_secret_whatever_it_is_said_to_be() {
        for name in [
            "password",
            "db_password",
            "api_token",
            "service_account_json",
            "private_key",
        ] {
            for role in [Role::None, Role::LoginName, Role::EndpointHost] {
                let lie = field(name, FieldKind::Text, role);
                assert!(!faults(&[lie]).is_empty(), "{name} as {role:?}");
            }
            let honest = field(name, FieldKind::Secret, Role::LoginPassword);
            assert_eq!(faults(&[honest]), Vec::<String>::new());
        }
    }

    #[test]
    fn only_what_is_called_so_is_revealed_or_looked_up() {
        for name in ["database", "schema", "note", "host"] {
            let lie = field(name, FieldKind::Text, Role::LoginName);
            assert!(!faults(&[lie]).is_empty(), "{name}");
        }
        for name in ["username", "database", "note"] {
            let lie = field(name, FieldKind::Text, Role::EndpointHost);
            assert!(!faults(&[lie]).is_empty(), "{name}");
        }
    }

    #[test]
    fn the_demand_for_encryption_cannot_be_hidden() {
        let lie = field("use_ssl", FieldKind::Boolean, Role::None);
        assert!(!faults(&[lie]).is_empty());
        let honest = field("use_ssl", FieldKind::Boolean, Role::TlsSwitch);
        assert!(faults(&[honest]).is_empty());
    }
}
