//! What a connector says of itself, checked, and what follows from it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::bindings::exports::dagflux::connector::descriptor as wit;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::text;
use crate::settings;

/// Everything there is to know about a connector without connecting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Descriptor {
    /// The machine name, such as `postgres`.
    pub name: String,
    /// The name for people, such as `PostgreSQL`.
    pub title: String,
    /// The connector's own version.
    pub version: String,
    /// The kind of system: `relational`.
    pub category: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How its SQL is written.
    pub dialect: Dialect,
    /// The connection form, in order.
    pub fields: Vec<Field>,
    /// The host's own fields beside those of the form: encryption, timeouts. No
    /// connector sees them.
    pub settings: Vec<Field>,
    /// How its protocol goes over to TLS; none if it cannot.
    pub tls: Option<TlsUpgrade>,
}

/// How a protocol goes over to TLS: all that passes in the clear before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TlsUpgrade {
    /// What the client sends to ask for it.
    pub request: Vec<u8>,
    /// The server's answer when it goes on.
    pub accepted: Vec<u8>,
    /// The server's answer when it does not.
    pub refused: Vec<u8>,
}

/// The most bytes of each part of a [`TlsUpgrade`]. PostgreSQL needs 8, MySQL 36.
const UPGRADE_BYTES: usize = 64;

/// What a connector can do; what is absent it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// Reading tables and queries.
    pub read: Option<ReadCapabilities>,
    /// Changing tables.
    pub write: Option<WriteCapabilities>,
    /// Stopping a running statement.
    pub cancel: Option<CancelCapabilities>,
    /// Facts that this version of the host has no field for.
    pub extensions: Vec<(String, String)>,
}

/// How reading works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReadCapabilities {
    /// Results are handed over while the server produces them.
    pub streaming: bool,
    /// The server enforces that a query changes nothing.
    pub read_only_queries: bool,
}

/// How writing works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WriteCapabilities {
    /// An insert is all rows or none.
    pub transactional: bool,
    /// A table is created in the transaction of its rows.
    pub transactional_ddl: bool,
}

/// How cancelling works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CancelCapabilities {
    /// The server stops the statement itself.
    pub server_side: bool,
}

/// How the SQL of a system is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dialect {
    /// The dialect's name, such as `postgresql`.
    pub name: String,
    /// Opens a quoted name.
    pub quote_open: String,
    /// Closes a quoted name.
    pub quote_close: String,
    /// Stands for `quote_close` within a quoted name.
    pub quote_escape: String,
    /// What becomes of a name that is not quoted: `lower-case`, `upper-case`,
    /// `preserved`, `insensitive` or `server-setting`.
    pub folding: &'static str,
    /// The longest name that is kept apart from others.
    pub identifier_length: u32,
    /// What its length is counted in: `bytes` or `characters`.
    pub identifier_length_unit: &'static str,
    /// Reads the first rows; has the places `{table}` and `{rows}`.
    pub preview: String,
    /// Creates a table from a query; has the places `{table}` and `{query}`.
    pub create_table_as: String,
    /// Statement forms that insert or update by key, best first.
    pub upsert: Vec<String>,
    /// Whether creating and dropping tables can be rolled back.
    pub transactional_ddl: bool,
    /// The types a column can have.
    pub types: Vec<String>,
}

impl Dialect {
    /// `name` as a quoted identifier.
    pub fn quote(&self, name: &str) -> String {
        let name = if self.quote_close.is_empty() {
            name.to_owned()
        } else {
            name.replace(&self.quote_close, &self.quote_escape)
        };
        format!("{}{name}{}", self.quote_open, self.quote_close)
    }
}

/// One field of a connection form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Field {
    /// The key in a configuration.
    pub name: String,
    /// The label in a form.
    pub label: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether a connection without it is refused.
    pub required: bool,
    /// Whether its value is kept in a secure store and out of logs.
    pub sensitive: bool,
    /// The value when none is given.
    pub default: Option<String>,
    /// Help text.
    pub help: String,
    /// What the host does with it.
    pub role: Role,
    /// The values it can have; any, if none are named.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub choices: &'static [&'static str],
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FieldKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// Yes or no.
    Boolean,
    /// A secret: used, never shown.
    Secret,
    /// The path of a file, or the text that it would hold.
    File,
}

impl FieldKind {
    /// The kind's name, as in `integer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Secret => "secret",
            Self::File => "file",
        }
    }
}

/// What the host does with a field beside handing it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// Nothing.
    None,
    /// The host of the one address the connector may reach.
    EndpointHost,
    /// The port of the one address the connector may reach.
    EndpointPort,
    /// Whether the connection must be encrypted.
    TlsSwitch,
    /// The login name.
    LoginName,
    /// The password.
    LoginPassword,
}

impl Descriptor {
    /// The field of the name `name`, of the form or the host's own.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.all_fields().find(|field| field.name == name)
    }

    /// Every field of a connection: those of the form, then the host's own.
    pub fn all_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().chain(&self.settings)
    }

    /// The field of the role `role`.
    pub fn field_with_role(&self, role: Role) -> Option<&Field> {
        self.fields.iter().find(|field| field.role == role)
    }

    /// A JSON Schema (draft 2020-12) of a connection's fields.
    ///
    /// Sensitive fields are marked `"airbyte_secret": true` and, where they are
    /// secrets, `"format": "password"`, as is the habit of the field.
    pub fn json_schema(&self) -> serde_json::Value {
        use serde_json::{Map, Value, json};
        let mut properties = Map::new();
        for (order, field) in self.all_fields().enumerate() {
            let mut property = Map::new();
            let json_type = match field.kind {
                FieldKind::Text | FieldKind::Secret | FieldKind::File => "string",
                FieldKind::Integer => "integer",
                FieldKind::Boolean => "boolean",
            };
            property.insert("title".into(), json!(field.label));
            property.insert("description".into(), json!(field.help));
            property.insert("type".into(), json!(json_type));
            property.insert("order".into(), json!(order));
            if field.role == Role::EndpointPort {
                property.insert("minimum".into(), json!(1));
                property.insert("maximum".into(), json!(65_535));
            }
            if !field.choices.is_empty() {
                property.insert("enum".into(), json!(field.choices));
            }
            if field.sensitive {
                property.insert("airbyte_secret".into(), json!(true));
            }
            if field.kind == FieldKind::Secret {
                property.insert("format".into(), json!("password"));
                property.insert("writeOnly".into(), json!(true));
            }
            if let Some(default) = field.default.as_deref() {
                let default = match field.kind {
                    FieldKind::Integer => default.parse::<i64>().map_or(Value::Null, Value::from),
                    FieldKind::Boolean => json!(default == "true"),
                    FieldKind::Text | FieldKind::Secret | FieldKind::File => json!(default),
                };
                property.insert("default".into(), default);
            }
            properties.insert(field.name.clone(), Value::Object(property));
        }
        let required: Vec<_> = self
            .all_fields()
            .filter(|field| field.required && field.default.is_none())
            .map(|field| &field.name)
            .collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": format!("{} connection", self.title),
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
        })
    }

    pub(crate) fn from_guest(about: wit::About) -> Result<Self> {
        let fields: Vec<_> = about.fields.into_iter().map(Field::from).collect();
        let descriptor = Self {
            name: about.name,
            title: about.title,
            version: about.version,
            category: about.category,
            capabilities: about.capabilities.into(),
            dialect: about.dialect.into(),
            settings: settings::fields(&fields),
            fields,
            tls: about.tls.map(|tls| TlsUpgrade {
                request: tls.request,
                accepted: tls.accepted,
                refused: tls.refused,
            }),
        };
        let mut faults = descriptor.texts();
        // A list of a million fields has two million faults.
        if faults.is_empty() {
            faults = descriptor.faults();
        }
        if faults.is_empty() {
            return Ok(descriptor);
        }
        Err(Error::new(ErrorKind::InvalidDescriptor, "the connector describes itself in a way that cannot be used")
            .with_detail(faults.join("; "))
            .with_hint("ask the author of the connector for a version that keeps to the contract's `descriptor`"))
    }

    /// What is wrong with the texts in it, whatever they say.
    fn texts(&self) -> Vec<String> {
        let (dialect, capabilities) = (&self.dialect, &self.capabilities);
        for (what, count) in [
            ("fields", self.fields.len()),
            ("types", dialect.types.len()),
            ("forms of an upsert", dialect.upsert.len()),
            ("extensions", capabilities.extensions.len()),
        ] {
            if count > text::DESCRIPTOR_ENTRIES {
                return vec![format!(
                    "it has {count} {what}, and {} are the most",
                    text::DESCRIPTOR_ENTRIES
                )];
            }
        }
        let mut texts = vec![
            ("its name", self.name.as_str(), text::NAME),
            ("its title", &self.title, text::NAME),
            ("its version", &self.version, text::NAME),
            ("its category", &self.category, text::NAME),
            ("the dialect's name", &dialect.name, text::NAME),
        ];
        let quotes = [
            &dialect.quote_open,
            &dialect.quote_close,
            &dialect.quote_escape,
        ];
        texts.extend(quotes.map(|quote| ("a quote", quote.as_str(), text::NAME)));
        let types = dialect.types.iter();
        texts.extend(types.map(|entry| ("a type of its dialect", entry.as_str(), text::PARAGRAPH)));
        let mut templates = vec![
            ("its preview", dialect.preview.as_str()),
            ("its way to create a table", &dialect.create_table_as),
        ];
        let forms = dialect.upsert.iter();
        templates.extend(forms.map(|form| ("a form of an upsert", form.as_str())));
        for (name, value) in &capabilities.extensions {
            texts.push(("the name of an extension", name, text::NAME));
            texts.push(("an extension", value, text::PARAGRAPH));
        }
        for field in &self.fields {
            texts.push(("the name of a field", &field.name, text::NAME));
            texts.push(("the label of a field", &field.label, text::NAME));
            texts.push(("the help of a field", &field.help, text::PARAGRAPH));
            let default = field.default.as_deref().unwrap_or_default();
            texts.push(("the default of a field", default, text::PARAGRAPH));
        }
        let unfit = |(what, said, most)| Some(format!("{what} {}", text::unfit(said, most)?));
        let unfit_sql = |(what, said)| {
            Some(format!(
                "{what} {}",
                text::unfit_sql(said, text::PARAGRAPH)?
            ))
        };
        let texts = texts.into_iter().filter_map(unfit);
        let templates = templates.into_iter().filter_map(unfit_sql);
        texts.chain(templates).take(10).collect()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = crate::policy::form::faults(&self.fields);
        if !is_name(&self.name, '-') {
            faults.push(format!(
                "its name {:?} is not made of lower-case letters, digits and `-`",
                self.name
            ));
        }
        if self.category != "relational" {
            faults.push(format!(
                "its category {:?} is not `relational`",
                self.category
            ));
        }
        let mut names = BTreeSet::new();
        for field in &self.fields {
            let name = &field.name;
            if !is_name(name, '_') {
                faults.push(format!(
                    "the field name {name:?} is not made of lower-case letters, digits and `_`"
                ));
            }
            if settings::NAMES.contains(&name.as_str()) {
                faults.push(format!("the field `{name}` is the host's own"));
            }
            if !names.insert(name) {
                faults.push(format!("there are two fields `{name}`"));
            }
            if field.kind == FieldKind::Secret && !field.sensitive {
                faults.push(format!(
                    "the field `{name}` holds a secret but is not marked sensitive"
                ));
            }
            if field.kind == FieldKind::Secret && field.default.is_some() {
                faults.push(format!(
                    "the field `{name}` holds a secret but has a default"
                ));
            }
            if let Some(wanted) = role_kind(field.role).filter(|wanted| *wanted != field.kind) {
                faults.push(format!(
                    "the field `{name}` has to be of the type {}",
                    wanted.as_str()
                ));
            }
            if role_is_sensitive(field.role) && !field.sensitive {
                faults.push(format!("the field `{name}` has to be marked sensitive"));
            }
            let default_fits = match (field.kind, field.default.as_deref()) {
                (FieldKind::Integer, Some(default)) => default.parse::<i64>().is_ok(),
                (FieldKind::Boolean, Some(default)) => matches!(default, "true" | "false"),
                _ => true,
            };
            if !default_fits {
                faults.push(format!(
                    "the default of the field `{name}` is not of its type"
                ));
            }
        }
        for role in [
            Role::EndpointHost,
            Role::EndpointPort,
            Role::TlsSwitch,
            Role::LoginName,
            Role::LoginPassword,
        ] {
            let count = self
                .fields
                .iter()
                .filter(|field| field.role == role)
                .count();
            if count > 1 {
                faults.push(format!("{count} fields have the role {role:?}"));
            }
            if count == 0 && matches!(role, Role::EndpointHost | Role::EndpointPort) {
                faults.push(format!("no field has the role {role:?}"));
            }
        }
        if let Some(tls) = &self.tls {
            let TlsUpgrade {
                request,
                accepted,
                refused,
            } = tls;
            if [request, accepted, refused]
                .iter()
                .any(|part| part.len() > UPGRADE_BYTES)
            {
                faults.push(format!(
                    "its request for TLS or an answer to it is longer than {UPGRADE_BYTES} bytes"
                ));
            }
            if accepted.len() != refused.len() || accepted == refused && !accepted.is_empty() {
                faults.push("the answers to its request for TLS cannot be told apart".to_owned());
            }
        }
        faults
    }
}

fn is_name(name: &str, joiner: char) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joiner)
}

fn role_kind(role: Role) -> Option<FieldKind> {
    match role {
        Role::None => None,
        Role::EndpointHost | Role::LoginName => Some(FieldKind::Text),
        Role::EndpointPort => Some(FieldKind::Integer),
        Role::TlsSwitch => Some(FieldKind::Boolean),
        Role::LoginPassword => Some(FieldKind::Secret),
    }
}

/// Roles whose value the host keeps to itself, whatever the connector says.
fn role_is_sensitive(role: Role) -> bool {
    matches!(
        role,
        Role::EndpointHost | Role::LoginName | Role::LoginPassword
    )
}

impl From<wit::Capabilities> for Capabilities {
    fn from(from: wit::Capabilities) -> Self {
        Self {
            read: from.read.map(|read| ReadCapabilities {
                streaming: read.streaming,
                read_only_queries: read.read_only_queries,
            }),
            write: from.write.map(|write| WriteCapabilities {
                transactional: write.transactional,
                transactional_ddl: write.transactional_ddl,
            }),
            cancel: from.cancel.map(|cancel| CancelCapabilities {
                server_side: cancel.server_side,
            }),
            extensions: from
                .extensions
                .into_iter()
                .map(|extension| (extension.name, extension.value))
                .collect(),
        }
    }
}

impl From<wit::Dialect> for Dialect {
    fn from(from: wit::Dialect) -> Self {
        Self {
            name: from.name,
            quote_open: from.quote_open,
            quote_close: from.quote_close,
            quote_escape: from.quote_escape,
            folding: match from.folding {
                wit::Folding::LowerCase => "lower-case",
                wit::Folding::UpperCase => "upper-case",
                wit::Folding::Preserved => "preserved",
                wit::Folding::Insensitive => "insensitive",
                wit::Folding::ServerSetting => "server-setting",
            },
            identifier_length: from.identifier_length.most,
            identifier_length_unit: match from.identifier_length.counted_in {
                wit::LengthUnit::Bytes => "bytes",
                wit::LengthUnit::Characters => "characters",
            },
            preview: from.preview,
            create_table_as: from.create_table_as,
            upsert: from.upsert,
            transactional_ddl: from.transactional_ddl,
            types: from.types,
        }
    }
}

impl From<wit::Field> for Field {
    fn from(from: wit::Field) -> Self {
        Self {
            name: from.name,
            label: from.label,
            kind: match from.type_ {
                wit::FieldType::Text => FieldKind::Text,
                wit::FieldType::Integer => FieldKind::Integer,
                wit::FieldType::Boolean => FieldKind::Boolean,
                wit::FieldType::Secret => FieldKind::Secret,
            },
            required: from.required,
            sensitive: from.sensitive,
            default: from.default,
            help: from.help,
            role: match from.role {
                wit::Role::None => Role::None,
                wit::Role::EndpointHost => Role::EndpointHost,
                wit::Role::EndpointPort => Role::EndpointPort,
                wit::Role::TlsSwitch => Role::TlsSwitch,
                wit::Role::LoginName => Role::LoginName,
                wit::Role::LoginPassword => Role::LoginPassword,
            },
            choices: &[],
        }
    }
}
