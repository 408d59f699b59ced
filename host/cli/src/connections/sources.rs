//! Values that a connection takes from elsewhere: a connection URL or keyword string (`url`), and,
//! if it says so (`libpq = true`), what psql would take from the PG* variables and `.pgpass`.
//!
//! A field written in the connection comes first, then the URL, then the variables.

use std::env;
use std::path::{Path, PathBuf};

use dagflux_host::{
    ConnectionString, Descriptor, Error, Field, FieldKind, PasswordFile, Role, StringValue,
};

use super::faults::{Checked, Sensitive, SensitiveField, file_obstacle};
use super::file::{Content, Entry, File, Given};
use super::guard::Guard;
use super::reference::Reference;
use crate::failure::Fault;

/// The key of a connection URL or keyword string.
pub const URL: &str = "url";

/// The key that says to do as psql does.
pub const LIBPQ: &str = "libpq";

/// What libpq takes from the environment. Manual: "Environment Variables".
const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGAPPNAME", "application_name"),
    // Refused, rather than to connect elsewhere than psql would.
    ("PGSERVICE", "service"),
];

/// What became of the sources of a connection.
#[derive(Debug, Default)]
pub struct Added {
    /// A URL is in the key store, which was not asked.
    pub unread: bool,
    /// Whether the connection may do without a password, as psql may.
    pub without_password: bool,
}

/// Adds what the sources of `entry` hold and the entry itself does not. The key store is asked
/// only if `ask`: it may ask the person.
pub fn add(
    (file, entry, ask): (&File, &Entry, bool),
    descriptor: &Descriptor,
    checked: &mut Checked,
    faults: &mut Vec<Fault>,
) -> Added {
    let mut added = Added::default();
    let given = |name: &str| {
        let known = descriptor.field(name).is_some();
        (entry.fields.iter()).find(|given| given.name == name && !known)
    };
    let mut sources = Sources {
        entry,
        descriptor,
        checked,
        password_file: None,
    };
    if let Some(given) = given(URL) {
        let mut tell = |message: String| faults.push(fault(given, message));
        match string(file, entry, given, ask) {
            Ok(Some(string)) => sources.take(&string, |path| file.resolve(path), &mut tell),
            Ok(None) => added.unread = true,
            Err(message) => tell(format!("\"{URL}\": {message}")),
        }
        // On the command line there is no place for one; the server says whether it wants one.
        added.without_password = entry.line == 0;
    }
    if let Some(given) = given(LIBPQ) {
        match given.value {
            Content::Boolean(false) => {}
            Content::Boolean(true) => {
                added.without_password = true;
                let mut tell = |message: String| faults.push(fault(given, message));
                sources.as_psql(&mut tell);
            }
            _ => faults.push(fault(
                given,
                format!("\"{LIBPQ}\" wants true or false; write {LIBPQ} = true"),
            )),
        }
    }
    sources.password_from_file();
    added
}

fn fault(given: &Given, message: String) -> Fault {
    Fault {
        line: Some(given.line),
        field: given.name.clone(),
        message,
    }
}

/// The connection string of a connection; none if it would have to be asked for.
fn string(
    file: &File,
    entry: &Entry,
    given: &Given,
    ask: bool,
) -> Result<Option<ConnectionString>, String> {
    let parsed = |text: &str| ConnectionString::parse(text).map_err(|error| said(&error));
    match &given.value {
        Content::Text(text) => match parsed(text)? {
            string if string.has_password() => Err(format!(
                "a password must not be written in this file; write {URL} = {{ keyring = true }} and run `dagflux secret set {}.{URL}`, \
                 or {URL} = {{ env = \"VARIABLE\" }}, or take the password out of it and write password = ... beside it",
                entry.name
            )),
            string => Ok(Some(string)),
        },
        Content::Reference(Reference::Keyring { .. }) if !ask => Ok(None),
        Content::Reference(reference) => {
            let resolve = |path: &str| file.resolve(path);
            let secret = reference.read(resolve).map_err(|failure| failure.message)?;
            parsed(secret.expose()).map(Some)
        }
        Content::BadReference(reason) => Err(reason.clone()),
        other => Err(format!(
            "it is {} and wants a connection URL, or a reference to one; write {URL} = {{ env = \"VARIABLE\" }}",
            other.kind()
        )),
    }
}

fn said(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

struct Sources<'s> {
    entry: &'s Entry,
    descriptor: &'s Descriptor,
    checked: &'s mut Checked,
    /// Where a password is looked for that is not given otherwise; whether there has to be one.
    password_file: Option<(PathBuf, bool)>,
}

impl Sources<'_> {
    /// Whether a field has a value, or a fault.
    fn has(&self, name: &str) -> bool {
        self.checked.has(name) || self.entry.fields.iter().any(|given| given.name == name)
    }

    fn has_role(&self, role: Role) -> bool {
        let field = self.descriptor.field_with_role(role);
        field.is_some_and(|field| self.has(&field.name))
    }

    /// Takes what `string` says of fields that have no value yet.
    fn take(
        &mut self,
        string: &ConnectionString,
        resolve: impl Fn(&str) -> PathBuf,
        tell: &mut impl FnMut(String),
    ) {
        let fields = match string.fields(self.descriptor) {
            Ok(fields) => fields,
            Err(error) => return tell(said(&error)),
        };
        let switched = self.has_role(Role::TlsSwitch);
        for field in fields {
            let name = field.name;
            // Use SSL is the form's word for the mode.
            if self.has(&name) || (name == "ssl_mode" && switched) {
                continue;
            }
            let Some(known) = self.descriptor.field(&name) else {
                continue;
            };
            match field.value {
                StringValue::Public(value) => self.checked.config.insert(name, value),
                StringValue::File(path) => match file_obstacle(&path, &resolve) {
                    Ok(path) => self.checked.config.insert(name, path),
                    Err(obstacle) => tell(format!("\"{name}\": {obstacle}")),
                },
                StringValue::Sensitive(secret) => {
                    let value = match known.kind {
                        FieldKind::Secret => Sensitive::Known(secret),
                        _ => Sensitive::Literal(secret.expose().to_owned()),
                    };
                    self.sensitive(known.name.clone(), known.kind, value);
                }
                StringValue::SensitiveFile(path) => {
                    let path = resolve(&path);
                    let path = std::path::absolute(&path).unwrap_or(path);
                    let reference = Reference::File {
                        path: path.display().to_string(),
                        readable_by_others: false,
                    };
                    match reference.obstacle(|path| PathBuf::from(path)) {
                        Some(obstacle) => tell(format!("\"{name}\": {obstacle}")),
                        None => {
                            self.sensitive(name, known.kind, Sensitive::Reference(reference));
                        }
                    }
                }
                _ => {}
            }
        }
        if let Some(name) = string.application_name()
            && self.checked.application_name.is_none()
        {
            self.checked.application_name = Some(name.to_owned());
        }
        if let Some(path) = string.password_file()
            && self.password_file.is_none()
        {
            self.password_file = Some((resolve(path), true));
        }
    }

    /// What psql would take beside.
    fn as_psql(&mut self, tell: &mut impl FnMut(String)) {
        let values: Vec<(&str, String)> = (VARIABLES.iter())
            .filter_map(|(variable, name)| Some((*name, env::var(variable).ok()?)))
            .collect();
        let pairs = values.iter().map(|(name, value)| (*name, value.as_str()));
        match ConnectionString::of(pairs) {
            Ok(string) => self.take(&string, |path| PathBuf::from(path), tell),
            Err(error) => tell(format!("the PG* variables: {}", said(&error))),
        }
        if !self.has_role(Role::TlsSwitch) && !self.has("ssl_mode") && !self.has("ssl_fingerprint")
        {
            self.checked.config.insert("ssl_mode", "prefer");
        }
        let login = |field: &Field| field.name.clone();
        if let Some(name) = self.descriptor.field_with_role(Role::LoginName).map(login) {
            let user = ["USER", "LOGNAME", "USERNAME"]
                .iter()
                .find_map(|name| env::var(name).ok());
            if let (false, Some(user)) = (self.has(&name), user) {
                self.sensitive(name.clone(), FieldKind::Text, Sensitive::Literal(user));
            }
            let user = self.checked.literal(&name).map(str::to_owned);
            if let (false, Some(user)) = (self.has("database"), user) {
                self.checked.config.insert("database", user);
            }
        }
        if self.password_file.is_none() {
            let default = PasswordFile::default_path().filter(|path| path.exists());
            self.password_file = default.map(|path| (path, false));
        }
    }

    /// Where no password is given, and no client key to log in with, the password file has it.
    fn password_from_file(&mut self) {
        let password = self.descriptor.field_with_role(Role::LoginPassword);
        if let (Some((path, required)), Some(field)) = (self.password_file.take(), password)
            && !self.has(&field.name)
            && !self.has("ssl_key")
        {
            let value = Sensitive::PasswordFile { path, required };
            self.sensitive(field.name.clone(), field.kind, value);
        }
    }

    fn sensitive(&mut self, name: String, kind: FieldKind, value: Sensitive) {
        self.checked.sensitive.push(SensitiveField {
            name,
            secret: kind == FieldKind::Secret,
            value,
        });
    }
}

/// The connection that a URL on the command line stands for.
pub fn of_command_line(url: &str, libpq: bool) -> (File, Entry) {
    let field = |name: &str, value| Given {
        name: name.to_owned(),
        line: 0,
        value,
    };
    let entry = Entry {
        guard: Guard::default(),
        name: "URL".to_owned(),
        line: 0,
        connector: Some((ConnectionString::CONNECTOR.to_owned(), 0)),
        fields: vec![
            field(URL, Content::Text(url.to_owned())),
            field(LIBPQ, Content::Boolean(libpq)),
        ],
        faults: Vec::new(),
    };
    let file = File {
        path: Path::new("").to_owned(),
        entries: Vec::new(),
    };
    (file, entry)
}
