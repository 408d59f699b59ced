//! What this connector is, told before any connection exists.

use dagflux_guest::bindings::exports::dagflux::connector::descriptor::{
    About, CancelCapabilities, Capabilities, Dialect, Field, FieldType, Folding, IdentifierLength,
    LengthUnit, ReadCapabilities, Role, TlsUpgrade, WriteCapabilities,
};

use crate::dialect::LONGEST_NAME;

/// Asks the server to go over to TLS: the length of the message and a version number that no
/// protocol has. Manual: "Message Formats", SSLRequest.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The whole description.
pub fn about() -> About {
    About {
        name: "postgres".into(),
        title: "PostgreSQL".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        category: "relational".into(),
        capabilities: Capabilities {
            read: Some(ReadCapabilities {
                streaming: true,
                read_only_queries: true,
                extensions: Vec::new(),
            }),
            write: Some(WriteCapabilities {
                transactional: true,
                transactional_ddl: true,
                extensions: Vec::new(),
            }),
            cancel: Some(CancelCapabilities {
                server_side: true,
                extensions: Vec::new(),
            }),
            extensions: Vec::new(),
        },
        dialect: dialect(),
        fields: fields(),
        tls: Some(TlsUpgrade {
            request: SSL_REQUEST.into(),
            accepted: b"S".into(),
            refused: b"N".into(),
        }),
    }
}

fn dialect() -> Dialect {
    Dialect {
        name: "postgresql".into(),
        quote_open: "\"".into(),
        quote_close: "\"".into(),
        quote_escape: "\"\"".into(),
        folding: Folding::LowerCase,
        identifier_length: IdentifierLength {
            most: LONGEST_NAME as u32,
            counted_in: LengthUnit::Bytes,
        },
        preview: "SELECT * FROM {table} LIMIT {rows}".into(),
        create_table_as: "CREATE TABLE {table} AS {query}".into(),
        upsert: vec![
            "INSERT ... ON CONFLICT ... DO UPDATE".into(),
            "MERGE INTO ... USING ... (from PostgreSQL 15)".into(),
        ],
        transactional_ddl: true,
        types: [
            "boolean",
            "smallint",
            "integer",
            "bigint",
            "numeric(p,s)",
            "real",
            "double precision",
            "text",
            "character varying(n)",
            "character(n)",
            "bytea",
            "date",
            "time",
            "timestamp",
            "timestamp with time zone",
            "interval",
            "uuid",
            "json",
            "jsonb",
        ]
        .map(Into::into)
        .into(),
    }
}

fn fields() -> Vec<Field> {
    vec![
        Field {
            name: "host".into(),
            label: "Host".into(),
            type_: FieldType::Text,
            required: true,
            sensitive: true,
            default: None,
            help: "The server's name or IP address, without port: `db.example.com`. Cloud providers show it as the endpoint.".into(),
            role: Role::EndpointHost,
        },
        Field {
            name: "port".into(),
            label: "Port".into(),
            type_: FieldType::Integer,
            required: true,
            sensitive: false,
            default: Some("5432".into()),
            help: "The port the server listens on; 5432 unless it was changed or a pooler stands in front.".into(),
            role: Role::EndpointPort,
        },
        Field {
            name: "database".into(),
            label: "Database".into(),
            type_: FieldType::Text,
            required: true,
            sensitive: false,
            default: None,
            help: "The database to connect to. One connection sees one database.".into(),
            role: Role::None,
        },
        Field {
            name: "username".into(),
            label: "Username".into(),
            type_: FieldType::Text,
            required: true,
            sensitive: true,
            default: None,
            help: "The PostgreSQL user. A dedicated one with only the grants it needs is better than an administrator's.".into(),
            role: Role::LoginName,
        },
        Field {
            name: "password".into(),
            label: "Password".into(),
            type_: FieldType::Secret,
            required: true,
            sensitive: true,
            default: None,
            help: "The user's password. The connector never sees it: the host answers the server's login challenge.".into(),
            role: Role::LoginPassword,
        },
        Field {
            name: "schema".into(),
            label: "Schema".into(),
            type_: FieldType::Text,
            required: false,
            sensitive: false,
            default: Some("public".into()),
            help: "The schema that names without one are looked up in, and that new tables go to: the one you granted access to.".into(),
            role: Role::None,
        },
        Field {
            name: "use_ssl".into(),
            label: "Use SSL".into(),
            type_: FieldType::Boolean,
            required: false,
            sensitive: false,
            default: Some("false".into()),
            help: "Encrypt the connection and verify the server, against the certificates this machine trusts. Most cloud providers require it.".into(),
            role: Role::TlsSwitch,
        },
    ]
}
