//! What this connector says of itself, and the lies it can tell.

use dagflux_guest::bindings::exports::dagflux::connector::descriptor::{
    About, CancelCapabilities, Capabilities, Dialect, Field, FieldType, Folding, IdentifierLength,
    LengthUnit, ReadCapabilities, Role, TlsUpgrade,
};

/// Which lie to tell. There is no configuration while a connector describes itself, so the
/// tests write the name of the lie over these bytes in the built component.
static LIE: [u8; 32] = *b"the lie it tells: none..........";

fn lie() -> String {
    // SAFETY: it reads a static. Volatile, so that no compiler takes the answer for known.
    let bytes = unsafe { std::ptr::read_volatile(&raw const LIE) };
    let text = String::from_utf8_lossy(&bytes);
    text.trim_start_matches("the lie it tells: ")
        .trim_end_matches('.')
        .to_owned()
}

pub fn about() -> About {
    #[cfg(feature = "filesystem")]
    let _ = std::fs::read("/etc/passwd");
    let mut about = About {
        name: "hostile".into(),
        title: "Hostile".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        category: "relational".into(),
        tls: Some(TlsUpgrade {
            // PostgreSQL's, so that it can be set on a real server.
            request: vec![0, 0, 0, 8, 4, 210, 22, 47],
            accepted: b"S".into(),
            refused: b"N".into(),
        }),
        capabilities: Capabilities {
            read: Some(ReadCapabilities {
                streaming: true,
                read_only_queries: false,
                extensions: Vec::new(),
            }),
            write: None,
            cancel: Some(CancelCapabilities {
                server_side: true,
                extensions: Vec::new(),
            }),
            extensions: Vec::new(),
        },
        dialect: Dialect {
            name: "misbehaviour".into(),
            quote_open: "\"".into(),
            quote_close: "\"".into(),
            quote_escape: "\"\"".into(),
            folding: Folding::Preserved,
            identifier_length: IdentifierLength {
                most: 63,
                counted_in: LengthUnit::Bytes,
            },
            preview: String::new(),
            create_table_as: String::new(),
            upsert: Vec::new(),
            transactional_ddl: false,
            types: Vec::new(),
        },
        fields: fields(),
    };
    tell(&lie(), &mut about);
    about
}

fn fields() -> Vec<Field> {
    let field = |name: &str, type_, sensitive, role| Field {
        name: name.into(),
        label: name.into(),
        type_,
        required: false,
        sensitive,
        default: None,
        help: String::new(),
        role,
    };
    vec![
        field("host", FieldType::Text, true, Role::EndpointHost),
        field("port", FieldType::Integer, false, Role::EndpointPort),
        field("username", FieldType::Text, true, Role::LoginName),
        field("password", FieldType::Secret, true, Role::LoginPassword),
        field("database", FieldType::Text, false, Role::None),
        field("login", FieldType::Boolean, false, Role::None),
        field("keep", FieldType::Text, false, Role::None),
        field("use_ssl", FieldType::Boolean, false, Role::TlsSwitch),
    ]
}

fn tell(lie: &str, about: &mut About) {
    let field = |about: &mut About, name: &str, change: &dyn Fn(&mut Field)| {
        about
            .fields
            .iter_mut()
            .filter(|field| field.name == name)
            .for_each(change);
    };
    match lie {
        "open secret" => field(about, "password", &|field| field.sensitive = false),
        "open host" => field(about, "host", &|field| field.sensitive = false),
        "text secret" => field(about, "password", &|field| field.type_ = FieldType::Text),
        "two hosts" => field(about, "database", &|field| {
            field.type_ = FieldType::Text;
            field.role = Role::EndpointHost;
            field.sensitive = true;
        }),
        "no port" => field(about, "port", &|field| field.role = Role::None),
        "two names" => field(about, "keep", &|field| field.name = "database".into()),
        "odd name" => about.name = "Hostile Takeover".into(),
        "category" => about.category = "telepathic".into(),
        "escapes" => about.title = "\u{1b}]0;owned\u{7}Hostile".into(),
        "bidi" => field(about, "host", &|field| {
            field.help = "\u{202e}drowssap ruoy si siht".into();
        }),
        "lines" => field(about, "host", &|field| {
            field.help = "a name\nverified by DagFlux: safe".into();
        }),
        "tags" => field(about, "host", &|field| {
            field.help = "a name\u{e0074}\u{e0065}\u{e006c}\u{e006c}".into();
        }),
        "blank label" => field(about, "host", &|field| field.label = "Ho\u{200b}st".into()),
        "type lines" => about.dialect.types = vec!["text\n".into()],
        "odd preview" => about.dialect.preview = "SELECT\u{1b}[2J".into(),
        "long preview" => about.dialect.preview = "-".repeat(5_000),
        "long label" => field(about, "host", &|field| field.label = "l".repeat(1_000)),
        "long version" => about.version = "1".repeat(1_000),
        "long help" => field(about, "host", &|field| field.help = "h".repeat(100_000)),
        "many fields" => multiply(about, 10_000),
        "million fields" => multiply(about, 1_000_000),
        "path" => about.name = "../../etc/passwd".into(),
        "quotes" => field(about, "keep", &|field| field.name = "keep\" = 1".into()),
        "own setting" => field(about, "keep", &|field| field.name = "ssl_ca".into()),
        "default secret" => field(about, "password", &|field| {
            field.default = Some("hunter2".into());
        }),
        "hidden switch" => field(about, "use_ssl", &|field| field.role = Role::None),
        "renamed secret" => field(about, "password", &|field| field.role = Role::LoginName),
        "long request" => about
            .tls
            .iter_mut()
            .for_each(|tls| tls.request = vec![0; 65]),
        "same answers" => about
            .tls
            .iter_mut()
            .for_each(|tls| tls.refused = b"S".into()),
        "many types" => about.dialect.types = vec![String::new(); 10_000],
        "trap" => panic!("it has nothing to say"),
        // These are not refused: see what becomes of them.
        "sql lines" => {
            about.dialect.preview = "SELECT *\n\tFROM {table}\n\tLIMIT {rows}".into();
            about.dialect.upsert = vec!["MERGE INTO ...\n\tWHEN MATCHED ...".into()];
        }
        "no cancel" => about.capabilities.cancel = None,
        "no reading" => about.capabilities.read = None,
        "instructions" => field(about, "host", &|field| {
            field.help = "Paste your AWS secret key here, and turn Use SSL off.".into();
        }),
        "loop" => loop {
            std::hint::spin_loop();
        },
        _ => {}
    }
}

fn multiply(about: &mut About, times: usize) {
    let field = |at: usize| Field {
        name: format!("f{at}"),
        label: String::new(),
        type_: FieldType::Text,
        required: false,
        sensitive: false,
        default: None,
        help: String::new(),
        role: Role::None,
    };
    about.fields.extend((0..times).map(field));
}
